// crime: a write just past the end, found when the block is freed
// origin: hardened_malloc overflow_{small,large}_{1,8}_byte, jemalloc safety_check, OpenBSD t9 t20, tcmalloc OverflowWriteDetectedAtFree
// note: arguments are the size, the first byte written (from the block's end) and how many
// each: frame 0 free_it @free allocated 0 make_block @made
// case: zero           | main 0 0 1        | abort heap-buffer-overflow size 0 offset 0
// case: size-1         | main 1 0 1        | abort heap-buffer-overflow size 1 offset 1
// case: size-7         | main 7 0 1        | abort heap-buffer-overflow size 7 offset 7
// case: size-8         | main 8 0 1        | abort heap-buffer-overflow size 8 offset 8
// case: size-13        | main 13 0 1       | abort heap-buffer-overflow size 13 offset 13
// case: size-15        | main 15 0 1       | abort heap-buffer-overflow size 15 offset 15
// case: size-16        | main 16 0 1       | abort heap-buffer-overflow size 16 offset 16
// case: size-24        | main 24 0 1       | abort heap-buffer-overflow size 24 offset 24
// case: size-32        | main 32 0 1       | abort heap-buffer-overflow size 32 offset 32
// case: size-100       | main 100 0 1      | abort heap-buffer-overflow size 100 offset 100
// case: size-1000      | main 1000 0 1     | abort heap-buffer-overflow size 1000 offset 1000
// case: size-1024      | main 1024 0 1     | abort heap-buffer-overflow size 1024 offset 1024
// case: size-1025      | main 1025 0 1     | abort heap-buffer-overflow size 1025 offset 1025
// case: page           | main 4096 0 1     | abort heap-buffer-overflow size 4096 offset 4096
// case: medium-end     | main 32768 0 1    | abort heap-buffer-overflow size 32768 offset 32768
// case: large          | main 32769 0 1    | abort heap-buffer-overflow size 32769 offset 32769
// case: large-100000   | main 100000 0 1   | abort heap-buffer-overflow size 100000 offset 100000
// case: large-pages    | main 128K 0 1     | abort heap-buffer-overflow size 131072 offset 131072
// case: huge           | main 4194309 0 1  | abort heap-buffer-overflow size 4194309 offset 4194309
// case: second-byte    | main 32 1 1       | abort heap-buffer-overflow size 32 offset 33
// case: seventh-byte   | main 32 6 1       | abort heap-buffer-overflow size 32 offset 38
// case: eighth-byte    | main 32 7 1       | abort heap-buffer-overflow size 32 offset 39
// case: odd-eighth     | main 13 7 1       | abort heap-buffer-overflow size 13 offset 20
// case: eight-bytes    | main 32 0 8       | abort heap-buffer-overflow size 32 offset 32
// case: eight-of-large | main 100000 0 8   | abort heap-buffer-overflow size 100000 offset 100000
// case: thread         | thread 32 0 1     | abort heap-buffer-overflow size 32 offset 32
// case: child          | child 32 0 1      | child abort heap-buffer-overflow size 32 offset 32
// case: constructor    | constructor 32 0 1 | abort heap-buffer-overflow size 32 offset 32
// case: atexit         | atexit 32 0 1     | abort heap-buffer-overflow size 32 offset 32
// case: destructor     | destructor 32 0 1 | abort heap-buffer-overflow size 32 offset 32
// case: storm          | storm 32 0 1      | abort heap-buffer-overflow size 32 offset 32
// case: key            | key 32 0 1        | abort heap-buffer-overflow size 32 offset 32
// case: innocent-0      | main 0 0 0       | silent
// case: innocent-1      | main 1 0 0       | silent
// case: innocent-13     | main 13 0 0      | silent
// case: innocent-32     | main 32 0 0      | silent
// case: innocent-1024   | main 1024 0 0    | silent
// case: innocent-medium | main 32768 0 0   | silent
// case: innocent-large  | main 100000 0 0  | silent
// case: innocent-huge   | main 4194309 0 0 | silent
#include "scene.h"

static NOINLINE char *make_block(size_t size) {
    return malloc(size); /* @made */
}

static NOINLINE void free_it(char *block) {
    free(block); /* @free */
}

static void act(int argc, char **argv) {
    size_t size = size_argument(argv[0]);
    size_t first = size_argument(argv[1]);
    size_t count = size_argument(argv[2]);
    char *block = make_block(size);
    memset(opaque(block), 0x33, size);
    for (size_t i = 0; i < count; i++) damage(block + size + first + i);
    free_it(block);
}
