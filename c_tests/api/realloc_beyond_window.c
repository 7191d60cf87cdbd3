// innocent: realloc of a large block to sizes whose number of 64 KiB pieces does not fit 32 bits
// note: such a realloc once "succeeded" in place, with room for one piece; found by the model (docs/proof.md)
// expect: warning allocation-size-too-big count 432
#include "scenario.h"

static NOINLINE void try_size(size_t from, size_t to) {
    char *block = malloc(from);
    CHECK(block != NULL);
    memset(block, 7, from);
    errno = 0;
    CHECK(realloc(block, opaque_size(to)) == NULL && errno == ENOMEM);
    CHECK(block[0] == 7 && block[from - 1] == 7);
    free(block);
}

int main(void) {
    for (int power = 47; power < 63; power++) {
        for (long near = -100000; near <= 100000; near += 25000) {
            try_size(100, ((size_t)1 << power) + (size_t)near);
            try_size(50000, ((size_t)1 << power) + (size_t)near);
            try_size(1000000, ((size_t)1 << power) + (size_t)near);
        }
    }
    return 0;
}
