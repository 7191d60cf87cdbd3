// crime: a pointer read from memory nobody has written to yet is followed: use of uninitialised memory, not use after free
// origin: issue 3 (4), interface.md 2 (fill_on_alloc)
// note: which kind names it is the library's choice; the fault stays
// baseline: no
// case: fresh    | malloc | any error; signal SIGSEGV
// case: filled   | malloc | any error; signal SIGSEGV
// options: fill_on_alloc=1
// case: innocent | calloc | silent
#include "scenario.h"

int main(int argc, char **argv) {
    /* The slot was used and freed before, as in any program that has run a while. */
    for (int i = 0; i < 100; i++) {
        char *used = opaque(malloc(64));
        memset(used, 1, 64);
        free(used);
    }
    long **block = opaque(strcmp(argv[1], "calloc") ? malloc(64) : calloc(1, 64));
    if (block[3] != NULL) opaque_size((size_t)*(volatile long *)block[3]);
    free(block);
    return 0;
}
