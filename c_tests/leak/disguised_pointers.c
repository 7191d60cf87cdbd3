// crime: pointers that no scan can recognise keep nothing (a documented limit)
// origin: engine.md C 3 (high-bit tag, XOR, in a pipe)
// each: frame 0 make_block
// case: xor      | xor  | leak definite 1 blocks 1337 bytes
// case: high-tag | high | leak definite 1 blocks 1337 bytes
// case: pipe     | pipe | leak definite 1 blocks 1337 bytes
// case: innocent | none | silent
#include "scenario.h"

static volatile uintptr_t slot;

static NOINLINE void *make_block(void) { return malloc(1337); }

static NOINLINE void scene(const char *what) {
    void *block = make_block();
    if (!strcmp(what, "none")) slot = (uintptr_t)block;
    if (!strcmp(what, "xor")) slot = hide(block);
    if (!strcmp(what, "high")) slot = (uintptr_t)block | ((uintptr_t)0xabcd << 48);
    if (!strcmp(what, "pipe")) {
        int ends[2];
        CHECK(pipe(ends) == 0);
        CHECK(write(ends[1], &block, sizeof block) == sizeof block);
    }
    lose(&block);
}

int main(int argc, char **argv) {
    scene(argv[1]);
    scrub_stack();
    return 0;
}
