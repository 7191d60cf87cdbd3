// crime: one lost block among two hundred thousand reachable ones is found in good time
// origin: engine.md C 2d
// timeout: 20
// case: crime    | lose | leak definite 1 blocks 77 bytes frame 0 make_odd
// case: innocent | free | silent
#include "scenario.h"

static void **table;

static NOINLINE void *make_odd(void) { return malloc(77); }

int main(int argc, char **argv) {
    table = malloc(200000 * sizeof *table);
    for (int i = 0; i < 200000; i++) {
        void **block = malloc(64 + (size_t)i % 300);
        block[0] = i ? table[i / 2] : NULL;
        table[i] = block;
    }
    void *block = make_odd();
    if (!strcmp(argv[1], "free")) free(block);
    lose(&block);
    scrub_stack();
    return table[100] == NULL;
}
