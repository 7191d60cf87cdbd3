// crime: a single byte past the end, whatever value is written
// origin: scenarios.md 3 (a zero byte must not be absorbed), jemalloc safety_check
// case: string-terminator | main 16 0   | abort heap-buffer-overflow size 16 offset 16 allocated 0 act
// case: terminator-odd    | main 11 0   | abort heap-buffer-overflow size 11 offset 11
// case: terminator-large  | main 50000 0 | abort heap-buffer-overflow size 50000 offset 50000
// case: letter            | main 16 65  | abort heap-buffer-overflow size 16 offset 16
// case: blank             | main 16 32  | abort heap-buffer-overflow size 16 offset 16
// case: all-ones          | main 16 255 | abort heap-buffer-overflow size 16 offset 16
// case: innocent          | main 16 -   | silent
// case: innocent-odd      | main 11 -   | silent
#include "scene.h"

static void act(int argc, char **argv) {
    size_t size = size_argument(argv[0]);
    volatile char *block = opaque(malloc(size));
    for (size_t i = 0; i < size; i++) block[i] = 'x';
    if (argv[1][0] != '-') block[size] = (char)atoi(argv[1]);
    free(opaque((void *)block));
}
