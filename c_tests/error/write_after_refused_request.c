// crime: a write into a freed block after a request that no machine could meet
// note: such a request says nothing about memory, and must not empty the quarantine; found by the model (docs/proof.md)
// each: allocated 0 make_block freed 0 free_it
// case: small    | main 100 50     | any exhaustion; any warning; abort heap-use-after-free size 100 offset 50
// case: span     | main 40960 0    | any exhaustion; any warning; abort heap-use-after-free size 40960 offset 0
// case: innocent | main 40960 -    | any exhaustion; any warning; silent
#include "scene.h"

static NOINLINE char *make_block(size_t size) { return malloc(size); }
static NOINLINE void free_it(char *block) { free(block); }

static void act(int argc, char **argv) {
    char *block = make_block(size_argument(argv[0]));
    CHECK(block && malloc(opaque_size((size_t)1 << 48)) == NULL);
    free_it(block);
    if (argv[1][0] != '-') damage(block + size_argument(argv[1]));
}
