// crime: ordinary dynamic linking against libheapwarden.so, found by its SONAME
// origin: interface.md 1
// link: linked
// case: crime    | lose | leak definite 1 blocks 32 bytes frame 0 make_block
// case: twice    | twice | abort double-free size 32 frame 0 main
// case: innocent | free | silent
#include "scenario.h"

static NOINLINE void *make_block(void) { return malloc(32); }

int main(int argc, char **argv) {
    void *block = make_block();
    if (strcmp(argv[1], "lose")) free(block);
    if (!strcmp(argv[1], "twice")) free(block);
    lose(&block);
    scrub_stack();
    return 0;
}
