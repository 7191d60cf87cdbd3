// One block at a time, 8 to 256 bytes: sizes that no branch predictor learns.
#include "loop.h"

int main(int argc, char **argv) {
    size_t n = allocations_wanted(argc, argv);
    random_t random = random_from(1);
    for (size_t i = 0; i < n; i++) {
        void *block = must(malloc(random_between(&random, 8, 256)));
        *(volatile size_t *)block = i;
        free(block);
    }
    return 0;
}
