// crime: include=FILE reads options from a file; a missing file is one warning line
// origin: interface.md 2
// report: off
// case: included | lose | exit 44; stderr "Direct leak of 32 byte(s)"
// options: include={c_tests}/support/exitcode_44.options
// case: missing  | lose | exit 23; stderr "/no/such.options"
// options: include=/no/such.options
// case: innocent | free | exit 0; no-stderr "heapwarden"
// options: include={c_tests}/support/exitcode_44.options
#include "scenario.h"

int main(int argc, char **argv) {
    void *block = malloc(32);
    if (!strcmp(argv[1], "free")) free(block);
    lose(&block);
    scrub_stack();
    return 0;
}
