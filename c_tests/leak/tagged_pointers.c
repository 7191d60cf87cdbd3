// crime: pointers that carry a tag hold their blocks only when the mask says which bits are the address
// origin: engine.md C 3 (high-16-bit tag, low-bit tag)
// each: frame 0 make_block
// case: high-unmasked    | high none         | leak definite 1 blocks 1337 bytes
// case: high-by-option   | high none         | silent
// options: pointer_mask=0x0000ffffffffffff
// case: high-by-function | high 0xffffffffffff | silent
// case: high-wrong-mask  | high 0xfffffffffff8ffff | leak definite 1 blocks 1337 bytes
// case: low-unmasked     | low none          | leak possible 1 blocks 1337 bytes
// case: low-by-option    | low none          | silent
// options: pointer_mask=0xfffffffffffffff8
// case: low-by-function  | low 0xfffffffffffffff8 | silent
// case: both-by-function | both 0xfffffffffff8 | silent
// case: chain-by-function | chain 0xffffffffffff | silent
// case: lost-all-the-same | lose 0xffffffffffff | leak definite 1 blocks 1337 bytes
// case: untagged         | plain 0xffffffffffff | silent
#include "scenario.h"

/* Declared here and weak: preloaded, the program is not linked with it. */
extern size_t heapwarden_pointer_mask(size_t mask) __attribute__((weak));

static volatile uintptr_t slot;
static const uintptr_t HIGH = (uintptr_t)0xabcd << 48;

static NOINLINE void *make_block(void) { return malloc(1337); }

static NOINLINE void scene(const char *what) {
    void *block = make_block();
    uintptr_t address = (uintptr_t)block;
    if (!strcmp(what, "plain")) slot = address;
    if (!strcmp(what, "high")) slot = address | HIGH;
    if (!strcmp(what, "low")) slot = address | 5;
    if (!strcmp(what, "both")) slot = address | HIGH | 5;
    if (!strcmp(what, "chain")) {
        /* A block that is itself held by a tag holds the next by one. */
        uintptr_t *first = malloc(64);
        first[3] = address | HIGH;
        slot = (uintptr_t)first | HIGH;
        lose(&first);
    }
    address = 0;
    lose(&block);
}

int main(int argc, char **argv) {
    if (strcmp(argv[2], "none") && heapwarden_pointer_mask) {
        size_t mask = strtoull(argv[2], NULL, 16);
        CHECK(heapwarden_pointer_mask(mask) == 0);
        CHECK(heapwarden_pointer_mask(mask) == mask);
    }
    scene(argv[1]);
    scrub_stack();
    return 0;
}
