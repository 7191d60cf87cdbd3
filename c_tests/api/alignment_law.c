// innocent: the aligned functions accept and refuse what glibc 2.36 accepts and refuses
// origin: glibc tst-{posix_memalign,memalign,aligned-alloc,valloc,pvalloc}, mimalloc posix_memalign*, scudo Memalign, API-02
// expect: any warning invalid-alignment
// expect: exit 0
#include "scenario.h"
#include <malloc.h>

static void posix_law(size_t alignment, int expected) {
    void *block = &block;
    errno = 0;
    int code = posix_memalign(&block, opaque_size(alignment), 100);
    CHECK(code == expected && errno == 0);
    if (code) CHECK(block == &block);
    else {
        CHECK(block != NULL && (uintptr_t)block % alignment == 0);
        memset(opaque(block), 1, 100);
        free(block);
    }
}

/* memalign of glibc rounds an odd alignment up. */
static void rounding_law(void *(*function)(size_t, size_t), size_t alignment, size_t multiple) {
    for (size_t size = 0; size < 3000; size += 333) {
        char *block = function(opaque_size(alignment), size);
        CHECK(block != NULL && (uintptr_t)block % multiple == 0);
        memset(opaque(block), 2, size);
        free(block);
    }
}

int main(void) {
    static const size_t refused[] = {0, 1, 2, 3, 4, 7, 9, 12, 15, 24, 100, 4097, SIZE_MAX, ((size_t)1 << 63) + 8};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) posix_law(refused[i], EINVAL);
    for (size_t alignment = 8; alignment <= (size_t)1 << 21; alignment *= 2) posix_law(alignment, 0);
    void *(*functions[])(size_t, size_t) = {memalign, aligned_alloc};
    for (int f = 0; f < 2; f++) {
        for (size_t alignment = 1; alignment <= (size_t)1 << 21; alignment *= 2)
            rounding_law(functions[f], alignment, alignment < 16 ? 16 : alignment);
        errno = 0;
        CHECK(functions[f](opaque_size(((size_t)1 << 63) + 1), 10) == NULL && errno == EINVAL);
    }
    rounding_law(memalign, 0, 16);
    rounding_law(memalign, 3, 16);
    rounding_law(memalign, 15, 16);
    rounding_law(memalign, 17, 32);
    rounding_law(memalign, 48, 64);
    rounding_law(memalign, 4097, 8192);
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (size_t size = 0; size < 3 * page; size += 777) {
        char *block = valloc(size);
        CHECK(block && (uintptr_t)block % page == 0);
        memset(opaque(block), 1, size);
        free(block);
        block = pvalloc(size);
        CHECK(block && (uintptr_t)block % page == 0);
        memset(opaque(block), 1, (size + page - 1) / page * page);
        free(block);
    }
    return 0;
}
