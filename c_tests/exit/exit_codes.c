// crime: every row of the table of exit codes
// origin: interface.md 3
// case: leak            | 0 leak | leak definite 1 blocks 32 bytes; exit 23
// case: leak-own-code   | 9 leak | leak definite 1 blocks 32 bytes; exit 9
// case: leak-other-code | 0 leak | leak definite 1 blocks 32 bytes; exit 77
// options: exitcode=77
// case: leak-only-told  | 0 leak | leak definite 1 blocks 32 bytes; exit 0
// options: exitcode=0
// case: kinds-excluded  | 0 leak | leak definite 1 blocks 32 bytes; exit 0
// options: errors_for_leak_kinds=possible
// case: not-shown       | 0 leak | silent; exit 23
// options: show_leak_kinds=possible
// case: survived-misuse | 0 twice | error double-free size 32; exit 23
// options: halt_on_error=0
// case: misuse-own-code | 9 twice | error double-free size 32; exit 9
// options: halt_on_error=0
// case: misuse          | 0 twice | abort double-free size 32
// case: switched-off    | 0 leak | silent; exit 0
// options: detect_leaks=0
// case: innocent        | 0 free | silent; exit 0
// case: innocent-code   | 9 free | silent; exit 9
#include "scenario.h"

int main(int argc, char **argv) {
    void *block = opaque(malloc(32));
    if (!strcmp(argv[2], "free")) free(block);
    if (!strcmp(argv[2], "twice")) {
        free(block);
        free(block);
    }
    lose(&block);
    scrub_stack();
    return atoi(argv[1]);
}
