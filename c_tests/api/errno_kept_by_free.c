// innocent: free keeps errno, whatever the block and however many
// origin: glibc tst-free-errno, API-01
// expect: silent
#include "scenario.h"
#include <malloc.h>

static void check_free(void *block) {
    errno = 1789;
    free(block);
    CHECK(errno == 1789);
}

int main(void) {
    static const size_t sizes[] = {0, 1, 100, 1024, 5000, 40000, 300000, 10 << 20};
    void *blocks[2000];
    check_free(NULL);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        check_free(opaque(malloc(sizes[i])));
        check_free(opaque(memalign(4096, sizes[i])));
    }
    for (int i = 0; i < 2000; i++) blocks[i] = opaque(malloc(150000));
    for (int i = 0; i < 2000; i += 2) check_free(blocks[i]);
    for (int i = 1; i < 2000; i += 2) check_free(blocks[i]);
    errno = 1789;
    CHECK(realloc(opaque(malloc(10)), 0) == NULL && errno == 1789);
    errno = 1789;
    void *block = opaque(malloc(100));
    CHECK(errno == 1789);
    free(block);
    return 0;
}
