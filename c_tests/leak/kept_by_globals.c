// innocent: blocks held by globals of every kind
// origin: LLVM use_globals_{initialized,uninitialized}, engine.md C 3 (global)
// expect: silent
#include "scenario.h"

static void *volatile uninitialized;
static void *volatile initialized = (void *)1;
void *exported;
static void *volatile array[100];
static struct { char pad[8]; void *volatile member; } structure;
static const void *volatile relocated = &exported;

static NOINLINE void *make_block(void) { return malloc(1337); }

static NOINLINE void scene(void) {
    uninitialized = make_block();
    initialized = make_block();
    exported = make_block();
    array[57] = make_block();
    structure.member = make_block();
    CHECK(relocated == &exported);
}

int main(void) {
    scene();
    scrub_stack();
    return 0;
}
