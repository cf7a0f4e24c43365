/* Preloaded before the library that is measured, so that its constructor runs last: prints the nanoseconds between. */
#include <stdio.h>
#include <time.h>

extern struct timespec portcullis_bench_before;

__attribute__((constructor)) static void after(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    fprintf(stderr, "%ld\n", (now.tv_sec - portcullis_bench_before.tv_sec) * 1000000000L + now.tv_nsec
        - portcullis_bench_before.tv_nsec);
}
