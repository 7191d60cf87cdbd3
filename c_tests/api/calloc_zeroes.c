// innocent: calloc gives zeroes although the same memory was dirty before
// origin: glibc tst-calloc, hardened_malloc calloc_zeroed, jemalloc zero, mimalloc zeroinit-*
// case: default | - | silent
// case: no-quarantine | - | silent
// options: quarantine_mb=0
// case: no-poison | - | silent
// options: quarantine_mb=0:poison=none
// case: full-poison | - | silent
// options: quarantine_mb=0:poison=full
// case: filled | - | silent
// options: fill_on_alloc=1
#include "scenario.h"

int main(void) {
    static const size_t sizes[] = {1, 8, 16, 50, 100, 1000, 1024, 1025, 4000, 32768, 32769, 100000, 1000000, 9000000};
    for (int round = 0; round < 20; round++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            size_t size = sizes[i];
            char *blocks[3];
            for (int k = 0; k < 3; k++) {
                blocks[k] = calloc(k + 1, size);
                CHECK(blocks[k] != NULL);
                char *block = opaque(blocks[k]);
                size_t step = size > 100000 ? 61 : 1;
                for (size_t at = 0; at < size * (size_t)(k + 1); at += step) CHECK(block[at] == 0);
                CHECK(block[size * (size_t)(k + 1) - 1] == 0);
                memset(block, 0xdb, size > 1000000 ? 5000 : size * (size_t)(k + 1));
            }
            for (int k = 0; k < 3; k++) free(blocks[k]);
        }
    return 0;
}
