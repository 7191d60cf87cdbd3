// crime: a write past the end of an aligned block
// origin: jemalloc safety_check, mimalloc malloc-aligned
// case: align-16    | main 16 20 1     | abort heap-buffer-overflow size 20 offset 20
// case: align-64    | main 64 100 1    | abort heap-buffer-overflow size 100 offset 100
// case: align-64-full | main 64 64 1   | abort heap-buffer-overflow size 64 offset 64
// case: align-4096  | main 4096 4096 1 | abort heap-buffer-overflow size 4096 offset 4096
// case: align-64K   | main 64K 100 1   | abort heap-buffer-overflow size 100 offset 100
// case: align-2M    | main 2M 3000000 1 | abort heap-buffer-overflow size 3000000 offset 3000000
// case: innocent-16   | main 16 20 0     | silent
// case: innocent-64   | main 64 64 0     | silent
// case: innocent-4096 | main 4096 4096 0 | silent
// case: innocent-2M   | main 2M 3000000 0 | silent
#include "scene.h"

static void act(int argc, char **argv) {
    size_t size = size_argument(argv[1]);
    char *block = aligned_alloc(size_argument(argv[0]), size);
    CHECK(block != NULL);
    memset(opaque(block), 1, size);
    if (argv[2][0] == '1') damage(block + size);
    free(opaque(block));
}
