// innocent: every entry point fails with ENOMEM for sizes near SIZE_MAX and over PTRDIFF_MAX
// origin: glibc tst-malloc-too-large, scudo Malloc/Memalign SIZE_MAX, API-05, ffmalloc 1
// note: each call site leaves a warning record
// expect: any warning allocation-size-too-big
// expect: any warning calloc-overflow
// expect: exit 0
#include "scenario.h"
#include <malloc.h>

static void *kept;

static void check(void *result) {
    CHECK(result == NULL);
    CHECK(errno == ENOMEM);
    errno = 0;
}

static void try_size(size_t size) {
    void *untouched = &kept;
    size = opaque_size(size);
    errno = 0;
    check(malloc(size));
    check(calloc(1, size));
    check(calloc(size, 1));
    check(calloc(2, size));
    check(realloc(NULL, size));
    check(realloc(kept, size));
    CHECK(memcmp(kept, "sixteen bytes ok", 16) == 0);
    check(reallocarray(kept, 1, size));
    check(memalign(16, size));
    check(memalign(64, size));
    check(memalign(4096, size));
    check(memalign(1 << 21, size));
    check(aligned_alloc(64, size));
    check(valloc(size));
    check(pvalloc(size));
    CHECK(posix_memalign(&untouched, 64, size) == ENOMEM);
    CHECK(posix_memalign(&untouched, 8, size) == ENOMEM);
    CHECK(untouched == &kept);
}

int main(void) {
    kept = opaque(malloc(16));
    memcpy(kept, "sixteen bytes ok", 16);
    for (size_t k = 0; k <= 64; k++) {
        try_size(SIZE_MAX - k);
        try_size((size_t)PTRDIFF_MAX + 1 + k);
    }
    for (size_t k = 1; k < 40; k++) try_size(SIZE_MAX - k * 4096);
    for (int bit = 63; bit < 64; bit++) try_size((size_t)1 << bit);
    free(kept);
    return 0;
}
