// crime: what a destructor function frees is no leak, what it loses is one
// origin: EXIT-02 (the report comes after all destructors)
// case: freed    | free | silent
// case: lost     | lose | leak definite 1 blocks 500 bytes frame 0 make_block frame 1 destructor
#include "scenario.h"

static int losing;

static NOINLINE void *make_block(void) { return malloc(500); }

__attribute__((destructor)) static void destructor(void) {
    void *block = make_block();
    if (!losing) free(block);
    lose(&block);
}

int main(int argc, char **argv) {
    losing = !strcmp(argv[1], "lose");
    return 0;
}
