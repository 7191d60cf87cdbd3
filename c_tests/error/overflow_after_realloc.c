// crime: the guard follows the new size after realloc shrinks or grows a block
// origin: jemalloc safety_check, mimalloc padding
// case: after-shrink  | main 64 40 1     | abort heap-buffer-overflow size 40 offset 40
// case: after-shrink-by-one | main 64 63 1 | abort heap-buffer-overflow size 63 offset 63
// case: after-grow    | main 40 44 1     | abort heap-buffer-overflow size 44 offset 44
// case: after-shrink-large | main 200000 150001 1 | abort heap-buffer-overflow size 150001 offset 150001
// case: innocent-shrink | main 64 40 0   | silent
// case: innocent-grow   | main 40 44 0   | silent
// case: innocent-large  | main 200000 150001 0 | silent
#include "scene.h"

static void act(int argc, char **argv) {
    size_t old_size = size_argument(argv[0]);
    size_t size = size_argument(argv[1]);
    char *block = malloc(old_size);
    memset(opaque(block), 1, old_size);
    block = opaque(realloc(block, size));
    memset(block, 2, size);
    if (argv[2][0] == '1') damage(block + size);
    free(opaque(block));
}
