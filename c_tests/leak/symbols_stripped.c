// crime: in a stripped program the leak is counted, with addresses instead of names
// origin: issue 2 (8), interface.md 4 (what is unknown is left out)
// flags: -g0 -Wl,-s
// case: crime    | 1 | leak definite 1 blocks 64 bytes
// case: innocent | 0 | silent
#include "scenario.h"

static NOINLINE void *make_block(size_t size) {
    return opaque(malloc(size));
}

static NOINLINE void *through_alloca(size_t size) {
    volatile char *room = __builtin_alloca(opaque_size(size * 3));
    room[0] = 1;
    void *block = make_block(size);
    room[size] = 2;
    return block;
}

int main(int argc, char **argv) {
    void *block = through_alloca(64);
    if (!atoi(argv[1])) free(block);
    lose(&block);
    scrub_stack();
    return 0;
}
