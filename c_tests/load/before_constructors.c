// innocent: the first calls come before any constructor of the library or of the program
// origin: scenarios.md 2 row 1, LOAD-01
// link: both full-static
// expect: silent
// expect: stdout "kept"
#include "scenario.h"

static char *made_early;

static void resolver_time(int argc, char **argv, char **envp) {
    made_early = malloc(100);
    strcpy(made_early, "kept");
    void *grown = opaque(realloc(opaque(calloc(3, 7)), 40000));
    free(grown);
}

__attribute__((section(".preinit_array"), used)) static void (*first)(int, char **, char **) = resolver_time;

__attribute__((constructor(101))) static void constructor(void) {
    CHECK(strcmp(made_early, "kept") == 0);
    made_early = opaque(realloc(made_early, 5000));
}

int main(void) {
    CHECK(first == resolver_time);
    puts(made_early);
    free(made_early);
    return 0;
}
