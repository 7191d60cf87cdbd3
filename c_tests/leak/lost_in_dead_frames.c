// crime: the only pointer lies in a frame that has returned, or in main's own after return
// origin: LLVM use_stacks (negative), stale_stack_leak, sanitizers 937 and 1690, engine.md C 3 (dead main frame)
// case: callee          | callee | leak definite 1 blocks 1337 bytes frame 0 make_block
// case: main-returns    | main   | leak definite 1 blocks 1337 bytes frame 0 make_block frame 1 main
// case: below-main      | below  | leak definite 1 blocks 1337 bytes frame 0 make_block
// case: innocent-callee | callee free | silent
// case: innocent-main   | main free   | silent
#include "scenario.h"

static NOINLINE void *make_block(void) { return malloc(1337); }

static NOINLINE void callee(int release) {
    void *volatile block = make_block();
    if (release) free(block);
}

/* Leaves the pointer deep in the dead stack, and nothing overwrites it. */
static NOINLINE void below(void) {
    void *volatile slots[600];
    for (int i = 0; i < 600; i++) slots[i] = NULL;
    slots[5] = make_block();
}

int main(int argc, char **argv) {
    int release = argc > 2;
    void *volatile block = NULL;
    if (!strcmp(argv[1], "callee")) { callee(release); scrub_stack(); }
    if (!strcmp(argv[1], "below")) below();
    if (!strcmp(argv[1], "main")) {
        block = make_block();
        if (release) free(block);
        scrub_stack();
    }
    return 0;
}
