// crime: stacks are told apart by all their frames, and kept to stack_depth of them
// origin: interface.md 2 (stack_depth), engine.md B
// case: deep      | 10  | leak definite 1 blocks 32 bytes frame 0 dive frame 9 dive frame 10 dive frame 11 main
// case: very-deep | 200 | leak definite 1 blocks 32 bytes frame 0 dive frame 31 dive
// case: shallow   | 0   | leak definite 1 blocks 32 bytes frame 0 dive frame 1 main
// case: caller-only | 10 | leak definite 1 blocks 32 bytes frame 0 dive
// options: stack_depth=0
// case: innocent  | -1  | silent
#include "scenario.h"

static NOINLINE void dive(int depth) {
    if (depth > 0) dive(depth - 1);
    else {
        void *block = malloc(32);
        if (depth < 0) free(opaque(block));
        lose(&block);
    }
    __asm__ volatile("" : : : "memory");
}

int main(int argc, char **argv) {
    dive(atoi(argv[1]));
    scrub_stack();
    return 0;
}
