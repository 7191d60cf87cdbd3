// crime: for each size up to 2 KiB the first byte past the end is seen, and no byte before it is taken for one
// origin: jemalloc no_overflow negative controls, snmalloc release-rounding, issue 3 (first and last byte)
// note: halt_on_error=0 lets one run try every size; the reports must be as many as the crimes
// options: halt_on_error=0
// case: innocent-all | 1 2048 0 | silent
// case: around-16  | 9 24 1     | error heap-buffer-overflow size 9 offset 9; error heap-buffer-overflow size 10 offset 10; error heap-buffer-overflow size 11 offset 11; error heap-buffer-overflow size 12 offset 12; error heap-buffer-overflow size 13 offset 13; error heap-buffer-overflow size 14 offset 14; error heap-buffer-overflow size 15 offset 15; error heap-buffer-overflow size 16 offset 16; error heap-buffer-overflow size 17 offset 17; error heap-buffer-overflow size 18 offset 18; error heap-buffer-overflow size 19 offset 19; error heap-buffer-overflow size 20 offset 20; error heap-buffer-overflow size 21 offset 21; error heap-buffer-overflow size 22 offset 22; error heap-buffer-overflow size 23 offset 23; error heap-buffer-overflow size 24 offset 24
// case: around-1024 | 1020 1028 1 | error heap-buffer-overflow size 1020 offset 1020; error heap-buffer-overflow size 1021 offset 1021; error heap-buffer-overflow size 1022 offset 1022; error heap-buffer-overflow size 1023 offset 1023; error heap-buffer-overflow size 1024 offset 1024; error heap-buffer-overflow size 1025 offset 1025; error heap-buffer-overflow size 1026 offset 1026; error heap-buffer-overflow size 1027 offset 1027; error heap-buffer-overflow size 1028 offset 1028
#include "scenario.h"

int main(int argc, char **argv) {
    size_t from = size_argument(argv[1]), to = size_argument(argv[2]);
    for (size_t size = from; size <= to; size++) {
        char *block = opaque(malloc(size));
        memset(block, 0x11, size);
        if (atoi(argv[3])) damage(block + size);
        free(block);
    }
    return 0;
}
