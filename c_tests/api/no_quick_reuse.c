// innocent: a freed address is not handed out again at once
// origin: hardened_malloc malloc_noreuse, interface.md 2 (quarantine)
// baseline: no
// case: small  | 32     | silent
// case: medium | 5000   | silent
// case: large  | 100000 | silent
#include "scenario.h"

int main(int argc, char **argv) {
    size_t size = size_argument(argv[1]);
    uintptr_t before = 0;
    for (int i = 0; i < 100; i++) {
        void *block = opaque(malloc(size));
        CHECK((uintptr_t)block != before);
        before = (uintptr_t)block;
        free(block);
    }
    return 0;
}
