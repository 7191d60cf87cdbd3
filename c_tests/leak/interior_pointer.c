// crime: only a pointer into the block is left: possibly lost
// origin: engine.md C 3 (interior, low-bit tag), LLVM user_pointer, issue 2
// case: plus-one     | 1   | leak possible 1 blocks 64 bytes frame 0 make_block
// case: plus-16      | 16  | leak possible 1 blocks 64 bytes frame 0 make_block
// case: last-byte    | 63  | leak possible 1 blocks 64 bytes frame 0 make_block
// case: large        | 50000 100000 | leak possible 1 blocks 100000 bytes frame 0 make_block
// case: both         | 16 64 both | silent
// case: innocent     | 0   | silent
// case: innocent-large | 0 100000 | silent
#include "scenario.h"

static char *volatile stepped;
static char *volatile start;

static NOINLINE char *make_block(size_t size) { return malloc(size); }

static NOINLINE void scene(int argc, char **argv) {
    char *block = make_block(argc > 2 ? size_argument(argv[2]) : 64);
    memset(opaque(block), 1, 64);
    stepped = block + size_argument(argv[1]);
    if (argc > 3) start = block;
    lose(&block);
}

int main(int argc, char **argv) {
    scene(argc, argv);
    scrub_stack();
    return 0;
}
