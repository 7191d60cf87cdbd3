// Ten thousand slots; a random one is replaced, so lifetimes are geometric.
// Sizes as real programs have them: mostly small, a few of some hundred bytes.
#include "loop.h"

enum { LIVE = 10000 };

int main(int argc, char **argv) {
    size_t n = allocations_wanted(argc, argv);
    random_t random = random_from(3);
    static void *block[LIVE];
    static size_t size[LIVE];
    for (size_t i = 0; i < n; i++) {
        size_t at = random_between(&random, 0, LIVE - 1);
        if (block[at] != NULL) {
            verify(block[at], size[at]);
            free(block[at]);
        }
        size_t most = (random_next(&random) & 15) == 0 ? 1024 : 128;
        size[at] = random_between(&random, 8, most);
        block[at] = must(malloc(size[at]));
        sign(block[at], size[at]);
    }
    for (size_t i = 0; i < LIVE; i++)
        free(block[i]);
    return 0;
}
