// innocent: an unknown key or a bad value is one line that names it and the nearest key, never fatal
// origin: interface.md 2
// baseline: no
// report: off
// case: misspelt  | 0 | exit 0; stderr "heapwarden"; stderr "detect_leeks"; stderr "detect_leaks"
// options: detect_leeks=1
// case: bad-value | 0 | exit 0; stderr "heapwarden"; stderr "exitcode"; stderr "many"
// options: exitcode=many
// case: no-value  | 0 | exit 0; stderr "heapwarden"; stderr "symbolize"
// options: symbolize
// case: stranger  | 0 | exit 0; stderr "heapwarden"; stderr "zzzz"
// options: zzzz=1
// case: help      | 0 | exit 0; stderr "quarantine_mb"; stderr "exitcode"; stderr "23"
// options: help=1
// case: empty     | 0 | exit 0; no-stderr "heapwarden"
// case: colons    | 0 | exit 0; no-stderr "heapwarden"
// options: ::exitcode=23::
// case: rest-still-counts | 1 | exit 42; stderr "detect_leeks"
// options: detect_leeks=1:exitcode=42
#include "scenario.h"

int main(int argc, char **argv) {
    void *block = malloc(10);
    if (argv[1][0] == '0') free(block);
    lose(&block);
    scrub_stack();
    return 0;
}
