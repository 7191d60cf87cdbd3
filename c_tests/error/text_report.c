// crime: the text report of a misuse names kind, block, both stacks and the place
// origin: interface.md 4, AddressSanitizer's wording
// report: off
// case: double-free | twice | signal SIGABRT; stderr "double-free"; stderr "make_block"; stderr "first_free"; stderr "second_free"; stderr "text_report.c"; stderr "SUMMARY: heapwarden: double-free"
// case: overflow    | over  | signal SIGABRT; stderr "heap-buffer-overflow"; stderr "make_block"; stderr "64"; stderr "SUMMARY: heapwarden: heap-buffer-overflow"
// case: innocent    | once  | silent; no-stderr "SUMMARY"
#include "scenario.h"

static NOINLINE char *make_block(void) { return malloc(64); }
static NOINLINE void first_free(char *block) { free(block); }
static NOINLINE void second_free(char *block) { free(block); }

int main(int argc, char **argv) {
    char *block = opaque(make_block());
    if (!strcmp(argv[1], "over")) damage(block + 64);
    first_free(block);
    if (!strcmp(argv[1], "twice")) second_free(block);
    return 0;
}
