// innocent: products that overflow fail with ENOMEM, products that do not are served
// origin: hardened_malloc calloc_overflow, glibc tst-malloc-too-large, tst-reallocarray, mimalloc calloc-overflow
// expect: any warning
// expect: exit 0
#include "scenario.h"

int main(void) {
    const size_t half = (size_t)1 << 32;
    static const size_t factors[] = {2, 3, 7, 1 << 16, (size_t)1 << 31};
    errno = 0;
    CHECK(calloc(opaque_size(half), half) == NULL && errno == ENOMEM);
    for (size_t i = 0; i < 5; i++) {
        size_t n = SIZE_MAX / factors[i];
        errno = 0;
        CHECK(calloc(opaque_size(n + 1), factors[i]) == NULL && errno == ENOMEM);
        errno = 0;
        CHECK(calloc(factors[i], opaque_size(n + 1)) == NULL && errno == ENOMEM);
        errno = 0;
        CHECK(reallocarray(NULL, opaque_size(n + 1), factors[i]) == NULL && errno == ENOMEM);
    }
    char *block = calloc(opaque_size(3), 5);
    for (int i = 0; i < 15; i++) CHECK(block[i] == 0);
    memset(block, 7, 15);
    block = reallocarray(block, 1000, opaque_size(30));
    for (int i = 0; i < 15; i++) CHECK(block[i] == 7);
    free(opaque(block));
    free(opaque(calloc(0, opaque_size(SIZE_MAX))));
    free(opaque(calloc(opaque_size(SIZE_MAX), 0)));
    return 0;
}
