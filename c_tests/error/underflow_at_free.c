// crime: a write just before the block, found when it is freed
// origin: isoalloc heap_underflow, tcmalloc UnderflowWriteDetected
// each: frame 0 free_it allocated 0 make_block
// case: small         | main 32 1      | abort heap-buffer-underflow size 32 offset -1
// case: size-1        | main 1 1       | abort heap-buffer-underflow size 1 offset -1
// case: size-100      | main 100 1     | abort heap-buffer-underflow size 100 offset -1
// case: eighth-byte   | main 32 8      | abort heap-buffer-underflow size 32
// case: medium        | main 5000 1    | abort heap-buffer-underflow size 5000 offset -1
// case: large         | main 100000 1  | abort heap-buffer-underflow size 100000 offset -1
// case: huge          | main 8M 1      | abort heap-buffer-underflow size 8388608 offset -1
// case: thread        | thread 32 1    | abort heap-buffer-underflow size 32 offset -1
// case: child         | child 32 1     | child abort heap-buffer-underflow size 32 offset -1
// case: innocent        | main 32 0     | silent
// case: innocent-medium | main 5000 0   | silent
// case: innocent-large  | main 100000 0 | silent
// case: innocent-huge   | main 8M 0     | silent
#include "scene.h"

static NOINLINE char *make_block(size_t size) { return malloc(size); }
static NOINLINE void free_it(char *block) { free(block); }

static void act(int argc, char **argv) {
    size_t size = size_argument(argv[0]);
    size_t before = size_argument(argv[1]);
    char *block = make_block(size);
    memset(opaque(block), 1, size);
    if (before) damage(block - before);
    free_it(block);
}
