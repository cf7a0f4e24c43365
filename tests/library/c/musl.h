/* What the programs of this folder call and musl does not have; included before all else. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define execveat(at, path, argv, envp, flags) ((int)syscall(SYS_execveat, at, path, argv, envp, flags))
#define posix_spawn_file_actions_addclosefrom_np(actions, from) ((void)(actions), (void)(from))
