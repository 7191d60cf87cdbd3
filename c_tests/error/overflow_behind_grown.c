// crime: a write behind a block that then grows in its place: what it grows over is looked at by
// realloc, what stays behind it by free
// origin: own
// case: grown-over  | main 33000 33010 5    | abort heap-buffer-overflow size 33000 offset 33005 frame 0 resize
// case: near        | main 33000 33010 100  | abort heap-buffer-overflow size 33000 offset 33100 frame 0 resize
// case: far         | main 33000 33010 2000 | abort heap-buffer-overflow size 33010 offset 35000 frame 0 release
// case: span-over   | main 50000 50010 5    | abort heap-buffer-overflow size 50000 offset 50005 frame 0 resize
// case: span-far    | main 50000 50010 1000 | abort heap-buffer-overflow size 50010 offset 51000 frame 0 release
// case: shrunk-far  | main 33010 33000 2000 | abort heap-buffer-overflow size 33000 offset 35010 frame 0 release
// case: innocent       | main 33000 33010 -1 | silent
// case: innocent-small | main 100 102 -1     | silent
// case: innocent-span  | main 50000 50010 -1 | silent
#include "scene.h"

static NOINLINE void *resize(void *block, size_t size) { return realloc(block, size); }
static NOINLINE void release(void *block) { free(block); }

static void act(int argc, char **argv) {
    size_t size = size_argument(argv[0]);
    char *block = malloc(size);
    memset(opaque(block), 1, size);
    if (argv[2][0] != '-') damage(block + size + size_argument(argv[2]));
    release(opaque(resize(block, size_argument(argv[1]))));
}
