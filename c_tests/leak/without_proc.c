// crime: inside an empty root folder there is no /proc: the leak is still counted, or the check says that it could not be done
// origin: issue 2 "Bad input", LLVM sandboxes
// note: needs root for chroot; without it the program stays where it is
// case: crime    | lose | any leak definite; any notice; any summary; exit 23/24
// report: stderr
// case: innocent | free | any notice; any summary; exit 0/24
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
