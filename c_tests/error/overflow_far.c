// crime: a write far past the end damages the neighbours too; one report names the block that overflowed
// origin: issue 3 (1), "200 bytes past the end of A; B and C behind it are damaged too"
// case: 200-bytes | 200 | abort heap-buffer-overflow size 40 offset 40 frame 0 release allocated 0 make_block
// case: innocent  | 0   | silent
#include "scenario.h"

static NOINLINE char *make_block(size_t size) { return malloc(size); }
static NOINLINE void release(char *block) { free(block); }

int main(int argc, char **argv) {
    size_t past = size_argument(argv[1]);
    char *blocks[50];
    int lowest = 0;
    for (int i = 0; i < 50; i++) blocks[i] = make_block(40);
    for (int i = 1; i < 50; i++)
        if (blocks[i] < blocks[lowest]) lowest = i;
    for (size_t i = 0; i < past; i++) damage(blocks[lowest] + 40 + i);
    release(blocks[lowest]);
    for (int i = 0; i < 50; i++)
        if (i != lowest) free(blocks[i]);
    return 0;
}
