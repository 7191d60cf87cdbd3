// crime: an overflow reaches a freed slot behind the block
// origin: OpenBSD t22 t23 (write into the preceding free slot)
// note: whichever is named, the damaged block must be named before the process ends
// case: crime    | 1 | abort heap-buffer-overflow/heap-use-after-free
// case: innocent | 0 | silent
#include "scenario.h"

int main(int argc, char **argv) {
    char *blocks[60];
    for (int i = 0; i < 60; i++) {
        blocks[i] = opaque(malloc(40));
        memset(blocks[i], 1, 40);
    }
    for (int i = 0; i < 60; i += 2) free(blocks[i]);
    if (atoi(argv[1]))
        for (int i = 0; i < 24; i++) damage(blocks[31] + 40 + i);
    for (int i = 1; i < 60; i += 2) free(blocks[i]);
    return 0;
}
