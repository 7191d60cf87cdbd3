// crime: a write into a freed block, found at the latest at exit
// origin: hardened_malloc write_after_free_{small,large}, OpenBSD t6 t7 t8
// note: arguments are the size and the offset written; every byte up to 1 KiB, the first and last 128 above
// each: allocated 0 make_block freed 0 free_it
// case: first-byte    | main 32 0        | abort heap-use-after-free size 32 offset 0
// case: last-byte     | main 32 31       | abort heap-use-after-free size 32 offset 31
// case: middle        | main 32 17       | abort heap-use-after-free size 32 offset 17
// case: one-byte      | main 1 0         | abort heap-use-after-free size 1 offset 0
// case: size-100-mid  | main 100 50      | abort heap-use-after-free size 100 offset 50
// case: size-1000-mid | main 1000 501    | abort heap-use-after-free size 1000 offset 501
// case: size-1024-last | main 1024 1023  | abort heap-use-after-free size 1024 offset 1023
// case: medium-first  | main 5000 0      | abort heap-use-after-free size 5000 offset 0
// case: medium-127    | main 5000 127    | abort heap-use-after-free size 5000 offset 127
// case: medium-last   | main 5000 4999   | abort heap-use-after-free size 5000 offset 4999
// case: medium-last-128 | main 5000 4872 | abort heap-use-after-free size 5000 offset 4872
// case: medium-end-then-middle | main 13014 12991 | abort heap-use-after-free size 13014 offset 12991
// case: large-first   | main 100000 0    | abort heap-use-after-free size 100000 offset 0
// case: large-last    | main 100000 99999 | abort heap-use-after-free size 100000 offset 99999
// case: large-last-128 | main 55281 55153 | abort heap-use-after-free size 55281 offset 55153
// case: thread        | thread 32 8      | abort heap-use-after-free size 32 offset 8
// case: constructor   | constructor 32 8 | abort heap-use-after-free size 32 offset 8
// case: key           | key 32 8         | abort heap-use-after-free size 32 offset 8
// case: innocent        | main 32 -      | silent
// case: innocent-medium | main 5000 -    | silent
// case: innocent-large  | main 100000 -  | silent
#include "scene.h"

static NOINLINE char *make_block(size_t size) { return malloc(size); }
static NOINLINE void free_it(char *block) { free(block); }

static void act(int argc, char **argv) {
    size_t size = size_argument(argv[0]);
    char *block = make_block(size);
    memset(opaque(block), 1, size);
    free_it(block);
    if (argv[1][0] != '-') damage(block + size_argument(argv[1]));
}
