// crime: functions that were inlined still have their frame, name and line
// origin: interface.md 4 (frame: inlined), issue 2 (8)
// flags: -O2
// case: crime    | 1 | leak definite 1 blocks 32 bytes frame 0 innermost @made frame 1 middle @called frame 2 outer @outer frame 3 main
// case: innocent | 0 | silent
#include "scenario.h"

__attribute__((always_inline)) static inline void *innermost(size_t size) {
    return malloc(size); /* @made */
}

__attribute__((always_inline)) static inline void *middle(size_t size) {
    return opaque(innermost(size * 2)); /* @called */
}

static NOINLINE void outer(int leak) {
    void *block = middle(16); /* @outer */
    if (!leak) free(block);
    lose(&block);
}

int main(int argc, char **argv) {
    outer(atoi(argv[1]));
    scrub_stack();
    return 0;
}
