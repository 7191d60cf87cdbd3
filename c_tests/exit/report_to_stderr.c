// crime: without log_path the JSON records come on standard error, one a line
// origin: interface.md 2 and 4
// report: stderr
// case: leak     | lose | leak definite 1 blocks 32 bytes frame 0 make_block
// case: innocent | free | exit 0
#include "scenario.h"

static NOINLINE void *make_block(void) { return malloc(32); }

int main(int argc, char **argv) {
    void *block = make_block();
    if (!strcmp(argv[1], "free")) free(block);
    lose(&block);
    fprintf(stderr, "the program's own words\n");
    scrub_stack();
    return 0;
}
