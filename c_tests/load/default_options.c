// crime: the program's own default options count, and the environment overrules them
// origin: interface.md 2, LLVM do_leak_check_override, __lsan_default_options
// flags: -rdynamic
// case: own        | lose | leak definite 1 blocks 32 bytes; exit 55
// case: overruled  | lose | leak definite 1 blocks 32 bytes; exit 66
// options: exitcode=66
// case: innocent   | free | silent
#include "scenario.h"

const char *heapwarden_default_options(void) { return "exitcode=55"; }

int main(int argc, char **argv) {
    void *block = malloc(32);
    if (!strcmp(argv[1], "free")) free(block);
    lose(&block);
    scrub_stack();
    return 0;
}
