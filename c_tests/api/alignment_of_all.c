// innocent: every size is aligned for every type, from every function
// origin: glibc tst-mallocalign1, scudo SmallAlign, mimalloc malloc-aligned*
// expect: silent
#include "scenario.h"
#include <malloc.h>

int main(void) {
    for (size_t size = 0; size < 70000; size += size < 3000 ? 1 : 997) {
        void *block = opaque(malloc(size));
        CHECK((uintptr_t)block % 16 == 0);
        block = opaque(realloc(block, size + 7));
        CHECK((uintptr_t)block % 16 == 0);
        free(block);
        block = opaque(calloc(1, size));
        CHECK((uintptr_t)block % 16 == 0);
        free(block);
    }
    for (size_t alignment = 8; alignment <= 65536; alignment *= 2)
        for (size_t size = 1; size <= 65536; size *= 2) {
            void *blocks[4];
            for (int i = 0; i < 4; i++) {
                blocks[i] = memalign(alignment, size);
                CHECK(blocks[i] && (uintptr_t)blocks[i] % alignment == 0);
                memset(opaque(blocks[i]), i, size);
            }
            for (int i = 0; i < 4; i++) CHECK(*(char *)blocks[i] == i);
            for (int i = 0; i < 4; i++) free(blocks[i]);
        }
    return 0;
}
