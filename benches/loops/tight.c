// One block of 56 bytes, allocated and freed at once: the shortest path.
#include "loop.h"

int main(int argc, char **argv) {
    size_t n = allocations_wanted(argc, argv);
    for (size_t i = 0; i < n; i++) {
        void *block = must(malloc(56));
        *(volatile size_t *)block = i;
        free(block);
    }
    return 0;
}
