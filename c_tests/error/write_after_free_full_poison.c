// crime: a write into the middle of a large freed block with poison=full
// origin: interface.md 2 (poison), issue 3
// options: poison=full
// case: medium-middle | main 5000 2501    | abort heap-use-after-free size 5000 offset 2501
// case: large-middle  | main 100000 50001 | abort heap-use-after-free size 100000 offset 50001
// case: innocent-medium | main 5000 -     | silent
// case: innocent-large  | main 100000 -   | silent
#include "scene.h"

static void act(int argc, char **argv) {
    size_t size = size_argument(argv[0]);
    char *block = malloc(size);
    memset(opaque(block), 1, size);
    free(opaque(block));
    if (argv[1][0] != '-') damage(block + size_argument(argv[1]));
}
