// crime: a write into a freed block, found when its memory is used again
// origin: hardened_malloc write_after_free_{small,large}_reuse, OpenBSD t6, scudo quarantine
// note: a slot that went home remembers the size of blocks up to 248 bytes only
// case: small         | main 64 8 200000    | abort heap-use-after-free size 64 offset 8
// case: above-128     | main 600 300 200000  | abort heap-use-after-free offset 300
// case: medium        | main 4000 64 20000  | abort heap-use-after-free offset 64
// case: large         | main 40000 64 4000  | abort heap-use-after-free size 40000 offset 64
// case: no-quarantine | main 64 8 200000    | abort heap-use-after-free size 64 offset 8
// options: quarantine_mb=0
// case: innocent        | main 64 - 200000   | silent
// case: innocent-above-128 | main 600 - 200000 | silent
// case: innocent-medium | main 4000 - 20000  | silent
// case: innocent-large  | main 40000 - 4000  | silent
#include "scene.h"

static NOINLINE void recycle(size_t size, size_t rounds) {
    for (size_t i = 0; i < rounds; i++) free(opaque(malloc(size)));
    /* Found here, not at exit: a program that is never told ends otherwise. */
    if (getenv("C_TEST_SKIP_EXIT")) _exit(FAILED);
}

static void act(int argc, char **argv) {
    size_t size = size_argument(argv[0]);
    char *block = malloc(size);
    memset(opaque(block), 1, size);
    free(opaque(block));
    if (argv[1][0] != '-') {
        damage(block + size_argument(argv[1]));
        setenv("C_TEST_SKIP_EXIT", "1", 1);
    }
    recycle(size, size_argument(argv[2]));
}
