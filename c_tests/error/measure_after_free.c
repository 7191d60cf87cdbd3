// crime: malloc_usable_size of a freed block
// origin: hardened_malloc invalid_malloc_usable_size_small_quarantine
// case: small    | 32 1     | abort heap-use-after-free/double-free/bad-free size 32 frame 0 measure freed 0 release
// case: large    | 100000 1 | abort heap-use-after-free/double-free/bad-free size 100000 frame 0 measure freed 0 release
// case: innocent | 32 0     | silent
#include "scenario.h"
#include <malloc.h>

static NOINLINE void release(void *block) { free(block); }
static NOINLINE size_t measure(void *block) { return malloc_usable_size(block); }

int main(int argc, char **argv) {
    void *block = opaque(malloc(size_argument(argv[1])));
    CHECK(measure(block) >= size_argument(argv[1]));
    release(block);
    if (atoi(argv[2])) opaque_size(measure(block));
    return 0;
}
