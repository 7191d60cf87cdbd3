// crime: a write past the end, found when the block is resized or measured
// origin: jemalloc safety_check (rallocx, xallocx)
// case: realloc-grow   | main 32 128 1    | abort heap-buffer-overflow size 32 offset 32 frame 0 resize allocated 0 act
// case: realloc-shrink | main 64 8 1      | abort heap-buffer-overflow size 64 offset 64 frame 0 resize
// case: realloc-same   | main 32 32 1     | abort heap-buffer-overflow size 32 offset 32 frame 0 resize
// case: realloc-large  | main 100000 8 1  | abort heap-buffer-overflow size 100000 offset 100000 frame 0 resize
// case: realloc-zero   | main 32 0 1      | abort heap-buffer-overflow size 32 offset 32 frame 0 resize
// case: innocent-grow   | main 32 128 0   | silent
// case: innocent-shrink | main 64 8 0     | silent
// case: innocent-large  | main 100000 8 0 | silent
// case: innocent-zero   | main 32 0 0     | silent
#include "scene.h"

static NOINLINE void *resize(void *block, size_t size) { return realloc(block, size); }

static void act(int argc, char **argv) {
    size_t size = size_argument(argv[0]);
    char *block = malloc(size);
    memset(opaque(block), 1, size);
    if (argv[2][0] == '1') damage(block + size);
    free(opaque(resize(block, size_argument(argv[1]))));
}
