// crime: the text report keeps the lines that tools parse
// origin: interface.md 4 (LeakSanitizer's wording)
// report: off
// case: one      | 1 | exit 23; stderr "Direct leak of 32 byte(s) in 1 object(s) allocated from:"; stderr "make_block"; stderr "text_report.c"; stderr "SUMMARY: heapwarden:"
// case: three    | 3 | exit 23; stderr "Direct leak of 96 byte(s) in 3 object(s) allocated from:"; stderr "SUMMARY: heapwarden:"
// case: no-leak-code | 1 | exit 0; stderr "Direct leak of 32 byte(s) in 1 object(s) allocated from:"
// options: exitcode=0
// case: own-code | 1 | exit 7; stderr "Direct leak of 32 byte(s)"
// options: exitcode=7
// case: switched-off | 1 | exit 0; no-stderr "Direct leak"
// options: detect_leaks=0
// case: innocent | 0 | silent; no-stderr "leak"
#include "scenario.h"

static NOINLINE void *make_block(void) { return malloc(32); }

int main(int argc, char **argv) {
    for (int i = 0; i < atoi(argv[1]); i++) {
        void *block = make_block();
        lose(&block);
    }
    scrub_stack();
    return 0;
}
