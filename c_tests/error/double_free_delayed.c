// crime: a block is freed twice with other work between
// origin: hardened_malloc double_free_{small,large}_delayed, OpenBSD t2
// case: small         | main 64 100 twice   | abort double-free size 64 frame 0 free_again freed 0 free_once
// case: same-size     | main 64 100 twice   | abort double-free size 64
// case: medium        | main 8000 20 twice  | abort double-free size 8000 frame 0 free_again freed 0 free_once
// case: large         | main 100K 1 twice   | abort double-free size 102400 frame 0 free_again
// case: innocent      | main 64 100 once    | silent
// case: innocent-large | main 100K 1 once   | silent
#include "scene.h"

static NOINLINE void free_once(void *block) { free(block); }
static NOINLINE void free_again(void *block) { free(block); }

static void act(int argc, char **argv) {
    size_t size = size_argument(argv[0]);
    size_t others = size_argument(argv[1]);
    void *block = opaque(malloc(size));
    free_once(block);
    /* Fewer bytes than the quarantine holds back (256 KiB at least). */
    for (size_t i = 0; i < others; i++) free(opaque(malloc(size)));
    if (strcmp(argv[2], "twice") == 0) free_again(block);
}
