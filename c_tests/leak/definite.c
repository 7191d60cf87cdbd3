// crime: the only pointer to a block is forgotten
// origin: interface.md 4, LLVM leak_check_at_exit, large_allocation_leak, realloc_zero
// each: frame 0 make_block @made frame 1 act
// case: small       | main 32 1       | leak definite 1 blocks 32 bytes
// case: one-byte    | main 1 1        | leak definite 1 blocks 1 bytes
// case: odd         | main 13 1       | leak definite 1 blocks 13 bytes
// case: zero        | main 0 1        | leak definite 1 blocks 0 bytes
// case: many        | main 32 10      | leak definite 10 blocks 320 bytes
// case: thousands   | main 40 5000    | leak definite 5000 blocks 200000 bytes
// case: medium      | main 5000 1     | leak definite 1 blocks 5000 bytes
// case: medium-many | main 5000 7     | leak definite 7 blocks 35000 bytes
// case: large       | main 100000 1   | leak definite 1 blocks 100000 bytes
// case: large-many  | main 100000 5   | leak definite 5 blocks 500000 bytes
// case: huge        | main 8M 1       | leak definite 1 blocks 8388608 bytes
// case: gigantic    | main 512M 1     | leak definite 1 blocks 536870912 bytes
// case: thread      | thread 32 3     | leak definite 3 blocks 96 bytes
// case: constructor | constructor 32 3 | leak definite 3 blocks 96 bytes
// case: storm       | storm 32 3      | leak definite 3 blocks 96 bytes
// case: key         | key 32 3        | leak definite 3 blocks 96 bytes
// case: innocent          | main 32 -1      | silent
// case: innocent-zero     | main 0 -1       | silent
// case: innocent-medium   | main 5000 -1    | silent
// case: innocent-large    | main 100000 -1  | silent
// case: innocent-huge     | main 8M -1      | silent
// case: innocent-gigantic | main 512M -1    | silent
// case: innocent-thread   | thread 32 -1    | silent
// case: innocent-storm    | storm 32 -1     | silent
#include "scene.h"

static NOINLINE void *make_block(size_t size) {
    return malloc(size); /* @made */
}

static void act(int argc, char **argv) {
    size_t size = size_argument(argv[0]);
    int count = atoi(argv[1]);
    for (int i = 0; i < abs(count); i++) {
        void *block = make_block(size);
        CHECK(block != NULL);
        if (count < 0) free(block);
        lose(&block);
    }
}
