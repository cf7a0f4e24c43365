/* Behind the guard: an execve that puts another program in the place of `./link` first, as another process might. */
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int execve(const char *path, char *const argv[], char *const envp[])
{
    long done;
    if (!strcmp(path, "./link")) {
        symlink("/bin/false", "./new");
        rename("./new", path);
    }
    __asm__ volatile("syscall" : "=a"(done) : "a"(SYS_execve), "D"(path), "S"(argv), "d"(envp) : "rcx", "r11", "memory");
    return -1;
}
