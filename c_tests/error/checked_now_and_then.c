// crime: with check_every=N damage is found while the program runs, by whoever happens to allocate
// origin: issue 3 (2), glibc MALLOC_CHECK_ and dlmalloc check_malloc_state
// options: check_every=50
// case: overflow    | overflow  | abort heap-buffer-overflow size 40 offset 40 frame 0 work allocated 0 make_block
// case: underflow   | underflow | abort heap-buffer-underflow size 40 offset -1 frame 0 work allocated 0 make_block
// case: after-free  | freed     | abort heap-use-after-free size 40 offset 8 frame 0 work allocated 0 make_block
// case: large       | large     | abort heap-buffer-overflow size 100000 offset 100000 frame 0 work allocated 0 make_block
// case: innocent    | none      | silent
#include "scenario.h"

static NOINLINE char *make_block(size_t size) { return malloc(size); }

/* Enough operations for the check to come round to every part of the heap. */
static NOINLINE void work(void) {
    for (int i = 0; i < 20000; i++) free(opaque(malloc(20)));
}

int main(int argc, char **argv) {
    const char *what = argv[1];
    char *block = opaque(make_block(strcmp(what, "large") ? 40 : 100000));
    if (!strcmp(what, "overflow")) damage(block + 40);
    if (!strcmp(what, "large")) damage(block + 100000);
    if (!strcmp(what, "underflow")) damage(block - 1);
    if (!strcmp(what, "freed")) {
        free(block);
        damage(block + 8);
        work();
        return 0;
    }
    work();
    free(block);
    return 0;
}
