/* Whether the kernel gave this program rights of its file, so that the loader ignores what its environment says. */
#include <stdio.h>
#include <sys/auxv.h>

int main(void)
{
    printf("secure %lu\n", getauxval(AT_SECURE));
    return 0;
}
