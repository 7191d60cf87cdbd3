// crime: an aligned block is freed twice
// origin: LLVM double_free, scudo Memalign
// case: align-32     | main 32 100     | abort double-free size 100 frame 0 free_again allocated 0 make_block
// case: align-4096   | main 4096 100   | abort double-free size 100 frame 0 free_again allocated 0 make_block
// case: align-64K    | main 64K 5000   | abort double-free size 5000 frame 0 free_again allocated 0 make_block
// case: align-2M     | main 2M 100000  | abort double-free size 100000 frame 0 free_again allocated 0 make_block
// case: innocent-32   | main 32 100 once    | silent
// case: innocent-4096 | main 4096 100 once  | silent
// case: innocent-2M   | main 2M 100000 once | silent
#include "scene.h"

static NOINLINE void *make_block(size_t alignment, size_t size) {
    void *block = NULL;
    CHECK(posix_memalign(&block, alignment, size) == 0);
    return opaque(block);
}

static NOINLINE void free_again(void *block) { free(block); }

static void act(int argc, char **argv) {
    size_t alignment = size_argument(argv[0]);
    void *block = make_block(alignment, size_argument(argv[1]));
    CHECK((uintptr_t)block % alignment == 0);
    free(opaque(block));
    if (argc < 3) free_again(block);
}
