// innocent: realloc(p, 0) frees the block and returns NULL: nothing is lost by it
// origin: glibc, mimalloc 574, snmalloc 460, LLVM realloc_zero, API-04
// case: small | 100    | silent
// case: large | 200000 | silent
// case: zero  | 0      | silent
#include "scenario.h"

int main(int argc, char **argv) {
    for (int i = 0; i < 100; i++) {
        void *block = opaque(malloc(size_argument(argv[1])));
        CHECK(realloc(block, 0) == NULL);
    }
    return 0;
}
