// crime: an error: line of the suppressions file silences a known misuse, and only that one
// origin: interface.md 2 (suppressions)
// note: suppressions match the program's functions; the program writes the file and starts itself again
// baseline: no
// options: halt_on_error=0
// case: suppressed | error:commit twice | silent; any suppression
// case: other      | error:elsewhere twice | error double-free size 64 frame 0 commit
// case: innocent   | error:commit once  | silent; any suppression
#include "scenario.h"

static NOINLINE void commit(void *block) { free(block); }

int main(int argc, char **argv) {
    if (!getenv("C_TEST_AGAIN")) {
        char options[2000];
        FILE *file = fopen("suppressions.txt", "w");
        CHECK(file != NULL);
        fprintf(file, "%s\n", argv[1]);
        fclose(file);
        const char *given = getenv("HEAPWARDEN_OPTIONS");
        snprintf(options, sizeof options, "%s:suppressions=suppressions.txt", given ? given : "");
        setenv("HEAPWARDEN_OPTIONS", options, 1);
        setenv("C_TEST_AGAIN", "1", 1);
        execv("/proc/self/exe", argv);
        CHECK(!"exec");
    }
    void *block = opaque(malloc(64));
    free(block);
    if (!strcmp(argv[2], "twice")) commit(block);
    return 0;
}
