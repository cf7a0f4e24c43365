/* Preloaded behind the guard: makes one system call of libportcullis.so fail, whoever else makes it goes on. By a seccomp
 * filter that looks where the call comes from. FAULT=NUMBER:ERRNO, FAULT_WHEN=start (from before the guard's constructor on)
 * or run (once the program says so). */
#define _GNU_SOURCE
#include <link.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static unsigned long first, last;

static int find(struct dl_phdr_info *info, size_t size, void *data)
{
    (void)size, (void)data;
    const char *end = strrchr(info->dlpi_name, '/');
    if (!end || strcmp(end, "/libportcullis.so"))
        return 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        if (header->p_type == PT_LOAD && header->p_flags & PF_X) {
            first = info->dlpi_addr + header->p_vaddr;
            last = first + header->p_memsz;
        }
    }
    return 1;
}

static void install(void)
{
    const char *fault = getenv("FAULT");
    int number, error;
    /* Who has no privileges has none for this either. */
    if (!fault || sscanf(fault, "%d:%d", &number, &error) != 2 || geteuid())
        return;
    dl_iterate_phdr(find, NULL);
    /* Within four gigabytes, so that one comparison of each half is enough. */
    if (!first || first >> 32 != last >> 32)
        return;
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 6),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, instruction_pointer) + 4),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, first >> 32, 0, 4),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, instruction_pointer)),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, (unsigned)first, 0, 2),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, (unsigned)last, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program)) {
        perror("seccomp");
        _exit(70);
    }
}

/* The program calls it by this name. */
void fault_begin(void)
{
    const char *when = getenv("FAULT_WHEN");
    if (when && !strcmp(when, "run"))
        install();
}

__attribute__((constructor)) static void at_start(void)
{
    const char *when = getenv("FAULT_WHEN");
    if (when && !strcmp(when, "start"))
        install();
}
