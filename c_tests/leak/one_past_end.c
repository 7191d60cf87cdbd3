// crime: a pointer to one past the end keeps neither this block nor the next one
// origin: engine.md C 3 (guard word pays twice), issue 2 (a string pointer stepped to its end)
// note: whether the end counts as inside is the library's choice (Valgrind: no); the next block must not be kept
// case: stepped-to-end | 64 | leak definite/possible 20 blocks 1280 bytes frame 0 make_block
// case: innocent       | 0  | silent
#include "scenario.h"

static char *volatile ends[20];

static NOINLINE char *make_block(void) { return malloc(64); }

int main(int argc, char **argv) {
    for (int i = 0; i < 20; i++) ends[i] = make_block() + size_argument(argv[1]);
    scrub_stack();
    return 0;
}
