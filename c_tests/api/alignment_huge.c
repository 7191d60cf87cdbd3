// innocent: an alignment of 1 GiB works or gives ENOMEM, and never wraps
// origin: tcmalloc AlignedAllocUnsupportedAlignment, mimalloc malloc-aligned9, API-08
// expect: any warning
// expect: any exhaustion
// expect: exit 0
#include "scenario.h"

int main(void) {
    for (int bit = 22; bit < 64; bit++) {
        void *block = NULL;
        size_t alignment = (size_t)1 << bit;
        int code = posix_memalign(&block, alignment, 1000);
        CHECK(code == 0 || code == ENOMEM || (bit == 63 && code == EINVAL));
        if (bit <= 24) CHECK(code == 0);
        if (code) {
            CHECK(block == NULL);
            continue;
        }
        CHECK((uintptr_t)block % alignment == 0);
        memset(opaque(block), 1, 1000);
        free(block);
    }
    return 0;
}
