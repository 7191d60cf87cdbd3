// crime: a block is lost beside a table whose pairs of 32-bit numbers would be addresses of a heap that begins at a round place
// origin: CI, 2026-11-22: one start in 150 took the line and column of a table in .data.rel.ro for a pointer
// case: lost     | lost | leak definite 1 blocks 100 bytes has-frame main
// case: innocent | free | silent
#include "scenario.h"

struct pair {
    unsigned lower, upper;
};

/* Every upper half that a heap below 16 TiB can have, with places of its first blocks. */
static struct pair pairs[0x1000][8];

int main(int argc, char **argv) {
    for (unsigned upper = 0; upper < 0x1000; upper++)
        for (unsigned step = 0; step < 8; step++)
            pairs[upper][step] = (struct pair){0x10 + 0x10 * step, upper};
    opaque(pairs);
    void *block = opaque(malloc(100));
    CHECK(block != NULL);
    if (!strcmp(argv[1], "free")) free(block);
    lose(&block);
    return 0;
}
