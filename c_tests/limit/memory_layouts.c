// crime: without address randomisation, and in the legacy layout, the verdict is the same
// origin: gdb and setarch -R, scenarios.md 2 row 32
// case: not-random | 0x0040000 lose | leak definite 1 blocks 32 bytes frame 0 make_block
// case: legacy     | 0x0200000 lose | leak definite 1 blocks 32 bytes frame 0 make_block
// case: innocent   | 0x0040000 free | silent
#include "scenario.h"
#include <sys/personality.h>

static NOINLINE void *make_block(void) { return malloc(32); }

int main(int argc, char **argv) {
    if (!getenv("C_TEST_AGAIN")) {
        setenv("C_TEST_AGAIN", "1", 1);
        /* Refused in some sandboxes: then the run is an ordinary one. */
        personality((unsigned long)strtoul(argv[1], NULL, 0));
        execv("/proc/self/exe", argv);
        CHECK(!"exec");
    }
    void *block = make_block();
    if (!strcmp(argv[2], "free")) free(block);
    lose(&block);
    scrub_stack();
    return 0;
}
