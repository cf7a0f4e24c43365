// maze FOLDER: executes a shell by a path behind 39 links, each of which goes into a folder and out again 800 times.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINKS = 39, STEPS = 800 };

int main(int argc, char **argv)
{
	char target[4096], name[64], *arguments[] = { "sh", "-c", "echo ran", NULL }, *none[] = { NULL };
	if (chdir(argv[1]) || (mkdir("d", 0777) && errno != EEXIST))
		return 2;
	for (int i = 0; i < LINKS; i++) {
		target[0] = 0;
		for (int step = 0; step < STEPS; step++)
			strcat(target, "d/../");
		if (i == LINKS - 1)
			strcpy(target, "/usr/bin/dash");
		else
			sprintf(target + strlen(target), "l%d", i + 1);
		snprintf(name, sizeof name, "l%d", i);
		if (symlink(target, name) && errno != EEXIST)
			return 3;
	}
	execve("l0", arguments, none);
	printf("execve: %d\n", errno);
	return 1;
}
