/* A character set module of glibc, in name only: says that it was loaded. */
#include <fcntl.h>
#include <unistd.h>

__attribute__((constructor)) static void loaded(void)
{
    close(open(MARK, O_WRONLY | O_CREAT, 0666));
}
