/* Wraps mmap; its own first call asks dlsym, which may allocate. */
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/mman.h>

void *mmap(void *address, size_t length, int protection, int flags, int file, off_t offset) {
    static void *(*real)(void *, size_t, int, int, int, off_t);
    if (!real) real = (void *(*)(void *, size_t, int, int, int, off_t))dlsym(RTLD_NEXT, "mmap");
    free(malloc(10));
    return real(address, length, protection, flags, file, offset);
}
