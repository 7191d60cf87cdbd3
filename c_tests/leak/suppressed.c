// crime: suppressions by function, file and module, and ones that do not fit
// origin: LLVM suppressions_file, suppressions_default, interface.md 2
// case: by-function     | s "leak:make_block"   | silent; any suppression
// case: by-glob         | s "leak:make_*"       | silent; any suppression
// case: anchored        | s "leak:^make_block$" | silent; any suppression
// case: by-file         | s "leak:suppressed.c" | silent; any suppression
// case: by-module       | s "leak:suppressed-"  | silent; any suppression
// case: with-comment    | s "# a comment" "" "leak:make_block" | silent; any suppression
// case: other-function  | s "leak:other"        | leak definite 1 blocks 32 bytes frame 0 make_block
// case: anchored-other  | s "leak:^block$"      | leak definite 1 blocks 32 bytes frame 0 make_block
// case: innocent        | s "leak:other" free   | silent; any suppression
// note: the program writes its own suppressions file and starts itself again
#include "scenario.h"

static NOINLINE void *make_block(void) { return malloc(32); }

static NOINLINE void scene(int release) {
    void *block = make_block();
    if (release) free(block);
    lose(&block);
}

int main(int argc, char **argv) {
    if (!getenv("C_TEST_AGAIN")) {
        char options[2000];
        FILE *file = fopen("suppressions.txt", "w");
        CHECK(file != NULL);
        for (int i = 2; i < argc; i++)
            if (strcmp(argv[i], "free")) fprintf(file, "%s\n", argv[i]);
        fclose(file);
        const char *given = getenv("HEAPWARDEN_OPTIONS");
        snprintf(options, sizeof options, "%s:suppressions=suppressions.txt", given ? given : "");
        setenv("HEAPWARDEN_OPTIONS", options, 1);
        setenv("C_TEST_AGAIN", "1", 1);
        execv("/proc/self/exe", argv);
        CHECK(!"exec");
    }
    scene(!strcmp(argv[argc - 1], "free"));
    scrub_stack();
    return 0;
}
