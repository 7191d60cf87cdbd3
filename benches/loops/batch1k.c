// A thousand blocks of 8 to 1000 bytes, then all of them freed in order.
#include "loop.h"

enum { LIVE = 1000 };

int main(int argc, char **argv) {
    size_t n = allocations_wanted(argc, argv);
    random_t random = random_from(2);
    static void *block[LIVE];
    static size_t size[LIVE];
    for (size_t made = 0; made < n; made += LIVE) {
        for (size_t i = 0; i < LIVE; i++) {
            size[i] = random_between(&random, 8, 1000);
            block[i] = must(malloc(size[i]));
            sign(block[i], size[i]);
        }
        for (size_t i = 0; i < LIVE; i++) {
            verify(block[i], size[i]);
            free(block[i]);
        }
    }
    return 0;
}
