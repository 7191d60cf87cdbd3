// innocent: malloc_usable_size is exactly the size asked for
// origin: glibc tst-malloc-usable, systemd 22801, redis 11965, interface.md 5, API-07
// baseline: no
// expect: silent
#include "scenario.h"
#include <malloc.h>

static void check(void *block, size_t size) {
    block = opaque(block);
    CHECK(block != NULL);
    CHECK(malloc_usable_size(block) == size);
    memset(block, 1, size);
    free(block);
}

int main(void) {
    CHECK(malloc_usable_size(NULL) == 0);
    for (size_t size = 0; size < 9000; size++) check(malloc(size), size);
    for (size_t size = 9000; size < 3000000; size += 33333) {
        check(malloc(size), size);
        check(calloc(1, size), size);
        check(memalign(256, size), size);
        check(realloc(malloc(size / 2), size), size);
        check(realloc(malloc(size * 2), size), size);
    }
    for (size_t alignment = 8; alignment <= 1 << 20; alignment *= 2)
        for (size_t size = 0; size < 3000; size += 123) {
            void *block = NULL;
            CHECK(posix_memalign(&block, alignment, size) == 0);
            check(block, size);
        }
    check(pvalloc(5000), 8192);
    check(valloc(5000), 5000);
    check(strdup("twelve chars"), 13);
    return 0;
}
