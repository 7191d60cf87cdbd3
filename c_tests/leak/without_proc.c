// crime: inside an empty root folder there is no /proc and no file to read symbols from; the leak is still counted
// origin: issue 2 "Bad input", LLVM sandboxes
// note: needs root for chroot; without it the program stays where it is
// case: crime    | lose | leak definite 1 blocks 32 bytes; exit 23
// report: stderr
// case: innocent | free | exit 0
// report: stderr
#include "scenario.h"
#include <sys/stat.h>

static NOINLINE void *make_block(void) { return malloc(32); }

int main(int argc, char **argv) {
    CHECK(mkdir("empty", 0700) == 0);
    if (chroot("empty") == 0) CHECK(chdir("/") == 0);
    void *block = make_block();
    if (!strcmp(argv[1], "free")) free(block);
    lose(&block);
    scrub_stack();
    return 0;
}
