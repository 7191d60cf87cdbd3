// innocent: realloc keeps the contents through every change of size and kind, and a failed one keeps the block
// origin: glibc tst-realloc, scudo Realloc, hardened_malloc realloc_init, mimalloc realloc-*, LLVM realloc_failure_keeps_original, API-04
// expect: any warning allocation-size-too-big
// expect: exit 0
#include "scenario.h"
#include <malloc.h>

static void fill(char *block, size_t from, size_t to) {
    for (size_t i = from; i < to; i++) block[i] = (char)(i * 7 + (i >> 9));
}

static void verify(const char *block, size_t to) {
    for (size_t i = 0; i < to; i++) CHECK(block[i] == (char)(i * 7 + (i >> 9)));
}

int main(void) {
    static const size_t steps[] = {1, 8, 15, 16, 17, 40, 100, 1000, 1024, 1025, 4096, 5000, 32768, 32769, 50000,
                                   65536, 100000, 1000000, 5000000};
    enum { COUNT = sizeof steps / sizeof *steps };
    for (int from = 0; from < COUNT; from++)
        for (int to = 0; to < COUNT; to++) {
            char *block = malloc(steps[from]);
            fill(opaque(block), 0, steps[from]);
            block = opaque(realloc(block, steps[to]));
            CHECK(block != NULL);
            verify(block, steps[from] < steps[to] ? steps[from] : steps[to]);
            fill(block, 0, steps[to]);
            free(block);
        }
    char *grown = opaque(realloc(NULL, 1));
    fill(grown, 0, 1);
    for (size_t size = 1; size < 60000; size += size < 2000 ? 1 : 501) {
        size_t next = size + (size < 2000 ? 1 : 501);
        grown = opaque(realloc(grown, next));
        fill(grown, size, next);
        verify(grown, 10 < next ? 10 : next);
    }
    verify(grown, 2000);
    errno = 0;
    CHECK(realloc(grown, opaque_size(SIZE_MAX - 5)) == NULL && errno == ENOMEM);
    verify(grown, 2000);
    for (size_t size = 50000; size > 100; size -= 499) grown = opaque(realloc(grown, size));
    verify(grown, 100);
    CHECK(realloc(grown, 0) == NULL);
    char *aligned = memalign(4096, 300);
    fill(aligned, 0, 300);
    aligned = opaque(realloc(aligned, 90000));
    verify(aligned, 300);
    free(aligned);
    return 0;
}
