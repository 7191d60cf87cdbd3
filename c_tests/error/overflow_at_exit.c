// crime: a damaged block that is never freed is named at exit all the same
// origin: issue 3, "at exit nothing damaged goes unmentioned"
// each: allocated 0 make_block
// case: reachable        | main 32 1     | abort heap-buffer-overflow size 32 offset 32
// case: reachable-medium | main 5000 1   | abort heap-buffer-overflow size 5000 offset 5000
// case: reachable-large  | main 100000 1 | abort heap-buffer-overflow size 100000 offset 100000
// case: reachable-huge   | main 8M 1     | abort heap-buffer-overflow size 8388608 offset 8388608
// case: innocent         | main 32 0     | silent
// case: innocent-medium  | main 5000 0   | silent
// case: innocent-large   | main 100000 0 | silent
#include "scene.h"

static char *volatile kept;

static NOINLINE char *make_block(size_t size) { return malloc(size); }

static void act(int argc, char **argv) {
    size_t size = size_argument(argv[0]);
    kept = make_block(size);
    memset(opaque(kept), 1, size);
    if (argv[1][0] == '1') damage(kept + size);
}
