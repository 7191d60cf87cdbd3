// innocent: blocks of no bytes are unique, aligned and freeable, from every function
// origin: hardened_malloc malloc_zero_different, OpenBSD malloc0test, mimalloc malloc-zero, API-03
// expect: silent
#include "scenario.h"
#include <malloc.h>

int main(void) {
    void *blocks[1000];
    for (int i = 0; i < 1000; i++) {
        void *block = NULL;
        if (i % 5 == 0) block = malloc(0);
        if (i % 5 == 1) block = calloc(0, 10);
        if (i % 5 == 2) block = realloc(NULL, 0);
        if (i % 5 == 3) CHECK(posix_memalign(&block, 64, 0) == 0);
        if (i % 5 == 4) block = memalign(16, 0);
        blocks[i] = opaque(block);
        CHECK(blocks[i] != NULL);
        for (int k = 0; k < i; k++) CHECK(blocks[k] != blocks[i]);
    }
    for (int i = 0; i < 1000; i += 2) blocks[i] = opaque(realloc(blocks[i], 100));
    for (int i = 0; i < 1000; i++) free(blocks[i]);
    return 0;
}
