// 200,000 blocks of 95 bytes on average are live; random ones are replaced.
// What a block's record costs in cache shows here, and in peak memory.
#include "loop.h"

enum { LIVE = 200000 };

int main(int argc, char **argv) {
    size_t n = allocations_wanted(argc, argv);
    random_t random = random_from(7);
    static void *block[LIVE];
    static uint8_t size[LIVE];
    size_t live = n < LIVE ? n : LIVE;
    for (size_t i = 0; i < n; i++) {
        size_t at = i < live ? i : random_between(&random, 0, live - 1);
        if (block[at] != NULL) {
            verify(block[at], size[at]);
            free(block[at]);
        }
        size[at] = (uint8_t)random_between(&random, 8, 182);
        block[at] = must(malloc(size[at]));
        sign(block[at], size[at]);
    }
    for (size_t i = 0; i < live; i++)
        free(block[i]);
    return 0;
}
