// innocent: aligned_alloc refuses what is no power of two, and accepts a size that is no multiple
// origin: C17 7.22.3.1, glibc 2.38 tst-aligned-alloc, scenarios.md 2 row 19
// note: glibc 2.36 still rounds such an alignment up
// baseline: no
// expect: any warning invalid-alignment
// expect: exit 0
#include "scenario.h"

int main(void) {
    static const size_t refused[] = {3, 5, 24, 48, 100, 4097, ((size_t)1 << 63) + 1};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        errno = 0;
        CHECK(aligned_alloc(opaque_size(refused[i]), 96) == NULL && errno == EINVAL);
    }
    for (size_t size = 0; size < 200; size += 7) {
        void *block = aligned_alloc(64, size);
        CHECK(block != NULL && (uintptr_t)block % 64 == 0);
        free(block);
    }
    return 0;
}
