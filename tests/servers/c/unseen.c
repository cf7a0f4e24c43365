// unseen dots|secret|many: executes a program with a loader variable, by a path that nobody else looks up or can read, or with more pages of
// arguments than anybody else reads.
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { ARGUMENTS = 600 };

int main(int argc, char **argv)
{
	static char dots[4096] = "/usr/bin";
	static char *arguments[ARGUMENTS + 1] = { "true" };
	char *path = dots, *variables[] = { "LD_PRELOAD=/srv/x.so", NULL };
	if (!strcmp(argv[1], "dots")) {
		for (int i = 0; i < 600; i++)
			strcat(dots, "/.");
	} else if (!strcmp(argv[1], "many")) {
		char *map = mmap(NULL, 2L * (ARGUMENTS + 1) * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		for (int i = 0; i < ARGUMENTS; i++)
			arguments[i] = memcpy(map + (2L * i + 1) * 4096 - 1, "xx", 3);
	} else {
		int fd = syscall(SYS_memfd_secret, 0);
		if (fd < 0 || ftruncate(fd, 4096))
			return puts("no secret memory"), 0;
		path = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		strcpy(path, dots);
	}
	strcat(path, "/true");
	fflush(stdout);
	execve(path, arguments, variables);
	printf("execve: %d\n", errno);
	return 1;
}
