// crime: two bytes before a block are written, and found by looking at the block below
// note: the offset is that of the first byte, whoever finds it; found by the model (docs/proof.md)
// each: allocated 0 make_block
// options: detect_leaks=0
// case: below-live  | live  | abort heap-buffer-underflow size 40 offset -2
// case: below-freed | freed | abort heap-buffer-underflow size 40 offset -2
// case: from-above  | above | abort heap-buffer-underflow size 40 offset -2
// case: innocent    | none  | silent
#include "scenario.h"

static NOINLINE char *make_block(void) { return malloc(40); }

int main(int argc, char **argv) {
    char *blocks[60];
    for (int i = 0; i < 60; i++) memset(blocks[i] = opaque(make_block()), 1, 40);
    /* Some two of them are neighbours, 48 bytes apart. */
    for (int i = 1; i < 60; i++) {
        if (blocks[i] - blocks[i - 1] != 48) continue;
        if (strcmp(argv[1], "freed") == 0) free(blocks[i - 1]);
        if (strcmp(argv[1], "none") != 0) {
            damage(blocks[i] - 2);
            damage(blocks[i] - 1);
        }
        free(blocks[strcmp(argv[1], "live") == 0 ? i - 1 : i]);
        return 0;
    }
    return 0;
}
