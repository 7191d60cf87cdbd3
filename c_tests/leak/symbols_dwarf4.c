// crime: names and lines are right in DWARF 4
// origin: issue 2 (8), engine.md B
// flags: -gdwarf-4
// case: crime    | 1 | leak definite 1 blocks 64 bytes frame 0 make_block @made frame 1 through_alloca @through frame 2 main @main
// case: innocent | 0 | silent
#include "scenario.h"

static NOINLINE void *make_block(size_t size) {
    return opaque(malloc(size)); /* @made */
}

static NOINLINE void *through_alloca(size_t size) {
    volatile char *room = __builtin_alloca(opaque_size(size * 3));
    room[0] = 1;
    void *block = make_block(size); /* @through */
    room[size] = 2;
    return block;
}

int main(int argc, char **argv) {
    void *block = through_alloca(64); /* @main */
    if (!atoi(argv[1])) free(block);
    lose(&block);
    scrub_stack();
    return 0;
}
