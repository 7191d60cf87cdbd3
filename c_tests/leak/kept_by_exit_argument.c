// innocent: the only pointer is the argument of an on_exit function
// origin: engine.md C 3 (on_exit arg)
// expect: silent
#include "scenario.h"

static void at_exit(int status, void *block) { CHECK(*(char *)block == 'x'); }

static NOINLINE void scene(void) {
    char *block = malloc(1337);
    *(char *)opaque(block) = 'x';
    CHECK(on_exit(at_exit, block) == 0);
}

int main(void) {
    scene();
    scrub_stack();
    return 0;
}
