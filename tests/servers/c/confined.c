/* What a page starts that forbids itself system calls: tests/library has its cases. */
#include "../../library/c/confined.c"
