/* Variables that have to be read from a disk: each is in a page of a file that is far from the others and not in memory. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { VARIABLES = 900, APART = 9 * 4096 };

struct cold {
    char *map, *variables[VARIABLES + 1];
    int file;
};

static void make_cold(struct cold *cold, const char *folder)
{
    char name[4096];
    snprintf(name, sizeof name, "%s/XXXXXX", folder);
    cold->file = mkstemp(name);
    unlink(name);
    for (int i = 0; i < VARIABLES; i++)
        pwrite(cold->file, "A=B", 4, (long)i * APART);
    ftruncate(cold->file, (long)VARIABLES * APART);
    fsync(cold->file);
    cold->map = mmap(NULL, (long)VARIABLES * APART, PROT_READ, MAP_PRIVATE, cold->file, 0);
    madvise(cold->map, (long)VARIABLES * APART, MADV_RANDOM);
    for (int i = 0; i < VARIABLES; i++)
        cold->variables[i] = cold->map + (long)i * APART;
}

static void evict(const struct cold *cold)
{
    madvise(cold->map, (long)VARIABLES * APART, MADV_PAGEOUT);
    posix_fadvise(cold->file, 0, 0, POSIX_FADV_DONTNEED);
}
