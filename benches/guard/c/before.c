/* Preloaded behind the library that is measured, so that its constructor runs first: notes the time. */
#include <time.h>

struct timespec portcullis_bench_before;

__attribute__((constructor)) static void before(void)
{
    clock_gettime(CLOCK_MONOTONIC, &portcullis_bench_before);
}
