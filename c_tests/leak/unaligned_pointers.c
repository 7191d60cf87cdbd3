// crime: a pointer at an odd address is found only when asked for
// origin: LLVM use_unaligned, engine.md C 3 (4-byte aligned)
// case: not-found | lose | leak definite 1 blocks 1337 bytes frame 0 make_block
// case: found     | lose | silent
// options: use_unaligned=1
// case: packed-not-found | packed | leak definite 1 blocks 1337 bytes frame 0 make_block
// case: packed-found     | packed | silent
// options: use_unaligned=1
// case: innocent  | free | silent
#include "scenario.h"

static volatile char holder[64] __attribute__((aligned(64)));

static NOINLINE void *make_block(void) { return malloc(1337); }

/* As the kernel's struct epoll_event on x86-64: the pointer at byte 4. */
static volatile struct __attribute__((packed)) {
    uint32_t events;
    void *data;
} event __attribute__((aligned(8)));

static NOINLINE void in_packed_structure(void) { event.data = make_block(); }

static NOINLINE void scene(int release) {
    void *block = make_block();
    memcpy((char *)holder + 12 + 1, &block, sizeof block);
    if (release) free(block);
    lose(&block);
}

int main(int argc, char **argv) {
    if (!strcmp(argv[1], "packed"))
        in_packed_structure();
    else
        scene(!strcmp(argv[1], "free"));
    scrub_stack();
    return 0;
}
