// crime: copies of a pointer in freed blocks and in a block's slack keep nothing
// origin: engine.md C 3 (heap tails and freed blocks never scanned), LLVM use_after_return
// each: frame 0 make_block
// case: in-freed-block  | freed   | leak definite 1 blocks 1337 bytes
// case: in-freed-large  | large   | leak definite 1 blocks 1337 bytes
// case: innocent        | live    | silent
#include "scenario.h"

static void *volatile *volatile holder;

static NOINLINE void *make_block(void) { return malloc(1337); }

static NOINLINE void scene(const char *what) {
    holder = calloc(1, strcmp(what, "large") ? 256 : 200000);
    holder[10] = make_block();
    if (strcmp(what, "live")) {
        free(opaque((void *)holder));
        /* The dangling pointer stays; the block behind it is no root. */
    }
}

int main(int argc, char **argv) {
    scene(argv[1]);
    scrub_stack();
    return 0;
}
