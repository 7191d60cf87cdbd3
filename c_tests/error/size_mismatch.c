// crime: free_sized and free_aligned_sized with a size or alignment that is not the block's; reported, and the program goes on
// origin: scudo MallocFreeSized, glibc tst-free-sized, hardened_malloc free_sized_*, interface.md 4
// link: linked static preload
// baseline: no
// each: frame 0 release
// case: one-less       | sized 100 99       | error size-mismatch size 100; exit 23
// case: one-more       | sized 100 101      | error size-mismatch size 100; exit 23
// case: zero           | sized 100 0        | error size-mismatch size 100; exit 23
// case: large          | sized 200000 199999 | error size-mismatch size 200000; exit 23
// case: aligned-less   | aligned 100 99     | error size-mismatch size 100; exit 23
// case: after-realloc  | realloc 100 100    | error size-mismatch size 150; exit 23
// case: innocent       | sized 100 100      | silent
// case: innocent-zero  | sized 0 0          | silent
// case: innocent-large | sized 200000 200000 | silent
// case: innocent-aligned | aligned 100 100  | silent
// case: innocent-realloc | realloc 100 150  | silent
// case: innocent-null  | null 0 100         | silent
#include "scenario.h"
#include <dlfcn.h>

extern void free_sized(void *, size_t) __attribute__((weak));
extern void free_aligned_sized(void *, size_t, size_t) __attribute__((weak));

static void (*sized)(void *, size_t);
static void (*aligned_sized)(void *, size_t, size_t);

static NOINLINE void release(void *block, int aligned, size_t size) {
    if (aligned) aligned_sized(block, 64, size);
    else sized(block, size);
}

int main(int argc, char **argv) {
    size_t size = size_argument(argv[2]);
    int aligned = !strcmp(argv[1], "aligned");
    void *block = aligned ? aligned_alloc(64, size) : malloc(size);
    /* Preloaded, the program was linked without knowing the functions. */
    sized = free_sized ? free_sized : (void (*)(void *, size_t))dlsym(RTLD_DEFAULT, "free_sized");
    aligned_sized = free_aligned_sized ? free_aligned_sized
                                       : (void (*)(void *, size_t, size_t))dlsym(RTLD_DEFAULT, "free_aligned_sized");
    CHECK(sized && aligned_sized);
    if (!strcmp(argv[1], "null")) {
        free(opaque(block));
        block = NULL;
    }
    if (!strcmp(argv[1], "realloc")) block = realloc(opaque(block), 150);
    release(opaque(block), aligned, size_argument(argv[3]));
    return 0;
}
