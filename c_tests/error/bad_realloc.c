// crime: realloc or malloc_usable_size of an address that is no block's start
// origin: hardened_malloc uninitialized_realloc, uninitialized_malloc_usable_size, OpenBSD t5, tcmalloc ReallocNeverAllocated
// baseline: no
// case: realloc-wild     | main realloc wild  | abort bad-free frame 0 grow
// case: realloc-stack    | main realloc stack | abort bad-free frame 0 grow
// case: realloc-interior | main realloc 8     | abort bad-free frame 0 grow offset 8 size 32
// case: realloc-zero     | main zero 8        | abort bad-free frame 0 grow offset 8 size 32
// case: usable-wild      | main usable wild   | abort bad-free frame 0 measure
// case: usable-stack     | main usable stack  | abort bad-free frame 0 measure
// case: usable-interior  | main usable 8      | abort bad-free frame 0 measure offset 8 size 32
// case: innocent-realloc | main realloc 0     | silent
// case: innocent-null    | main realloc null  | silent
// case: innocent-usable  | main usable 0      | silent
// case: innocent-usable-null | main usable null | silent
#include "scene.h"
#include <malloc.h>

static NOINLINE void grow(void *address, size_t size) { free(opaque(realloc(address, size))); }
static NOINLINE size_t measure(void *address) { return malloc_usable_size(address); }

static void act(int argc, char **argv) {
    char on_stack[64] __attribute__((aligned(16)));
    char *block = NULL;
    void *address;
    on_stack[0] = 1;
    if (!strcmp(argv[1], "wild")) address = (void *)0x0000123456789ab0;
    else if (!strcmp(argv[1], "stack")) address = opaque(on_stack);
    else if (!strcmp(argv[1], "null")) address = NULL;
    else {
        block = opaque(malloc(32));
        address = block + size_argument(argv[1]);
    }
    if (!strcmp(argv[0], "usable")) {
        CHECK(measure(address) == (block ? 32 : 0));
        free(block);
    } else {
        grow(address, strcmp(argv[0], "zero") ? 64 : 0);
    }
}
