// innocent: fill_on_alloc=1 fills all fresh memory but calloc's with one byte
// origin: interface.md 2, mimalloc uninit-*
// baseline: no
// options: fill_on_alloc=1
// case: small  | 100    | silent
// case: medium | 5000   | silent
// case: large  | 200000 | silent
#include "scenario.h"

int main(int argc, char **argv) {
    size_t size = size_argument(argv[1]);
    int fill = -1;
    for (int round = 0; round < 50; round++) {
        unsigned char *block = opaque(malloc(size));
        if (fill < 0) fill = block[0];
        for (size_t i = 0; i < size; i++) CHECK(block[i] == fill);
        memset(block, 3, size);
        unsigned char *zeroes = opaque(calloc(1, size));
        for (size_t i = 0; i < size; i++) CHECK(zeroes[i] == 0);
        free(block);
        free(zeroes);
    }
    CHECK(fill > 0);
    return 0;
}
