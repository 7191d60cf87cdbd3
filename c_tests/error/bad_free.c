// crime: free of an address that is no block's start
// origin: hardened_malloc {unaligned,invalid}_free_*, OpenBSD t4 t11 t12, scenarios ERR-01
// note: the offset is that of the address within the block it lies in
// case: wild            | main wild       | abort bad-free frame 0 free_it
// case: wild-odd        | main one        | abort bad-free frame 0 free_it
// case: kernel-half     | main kernel     | abort bad-free frame 0 free_it
// case: non-canonical   | main high       | abort bad-free frame 0 free_it
// case: all-ones        | main ones       | abort bad-free frame 0 free_it
// case: stack           | main stack      | abort bad-free frame 0 free_it
// case: global          | main global     | abort bad-free frame 0 free_it
// case: literal         | main literal    | abort bad-free frame 0 free_it
// case: function        | main function   | abort bad-free frame 0 free_it
// case: mapped          | main mapped     | abort bad-free frame 0 free_it
// case: protected       | main protected  | abort bad-free frame 0 free_it
// case: unmapped        | main unmapped   | abort bad-free frame 0 free_it
// case: interior-1      | main +1 32      | abort bad-free frame 0 free_it offset 1 size 32 allocated 0 make_block
// case: interior-8      | main +8 32      | abort bad-free frame 0 free_it offset 8 size 32
// case: interior-16     | main +16 32     | abort bad-free frame 0 free_it offset 16 size 32
// case: interior-medium | main +2000 4000 | abort bad-free frame 0 free_it offset 2000 size 4000 allocated 0 make_block
// case: interior-large  | main +4096 200K | abort bad-free frame 0 free_it offset 4096 size 204800 allocated 0 make_block
// case: interior-large-far | main +131072 200K | abort bad-free frame 0 free_it offset 131072 size 204800
// case: interior-huge   | main +4M 8M     | abort bad-free frame 0 free_it offset 4194304 size 8388608
// case: one-past-end    | main +32 32     | abort bad-free frame 0 free_it
// case: before-start    | main -16 32     | abort bad-free frame 0 free_it
// case: never-used      | main +524288 32 | abort bad-free frame 0 free_it
// case: thread          | thread +8 32    | abort bad-free frame 0 free_it offset 8 size 32
// case: child           | child +8 32     | child abort bad-free frame 0 free_it offset 8 size 32
// case: constructor     | constructor +8 32 | abort bad-free frame 0 free_it offset 8 size 32
// case: destructor      | destructor stack | abort bad-free frame 0 free_it
// case: storm           | storm wild      | abort bad-free frame 0 free_it
// case: innocent        | main +0 32      | silent
// case: innocent-null   | main null       | silent
// case: innocent-large  | main +0 200K    | silent
// case: innocent-huge   | main +0 8M      | silent
#include "scene.h"
#include <sys/mman.h>

static char global_bytes[64] __attribute__((aligned(16)));

static NOINLINE void *make_block(size_t size) { return malloc(size); }
static NOINLINE void free_it(void *address) { free(address); }

static void *mapped(int protection) {
    void *page = mmap(NULL, 8192, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(page != MAP_FAILED);
    return page;
}

static void act(int argc, char **argv) {
    const char *what = argv[0];
    char on_stack[64] __attribute__((aligned(16)));
    on_stack[0] = 1;
    if (*what == '+' || *what == '-') {
        char *block = make_block(size_argument(argv[1]));
        size_t offset = size_argument(what + 1);
        free_it(opaque(*what == '+' ? block + offset : block - offset));
        return;
    }
    if (!strcmp(what, "wild")) free_it((void *)0x0000123456789ab0);
    if (!strcmp(what, "one")) free_it((void *)1);
    if (!strcmp(what, "kernel")) free_it((void *)0xffff800000001000);
    if (!strcmp(what, "high")) free_it((void *)0x5a5a5a5a5a5a5a50);
    if (!strcmp(what, "ones")) free_it((void *)~(uintptr_t)0);
    if (!strcmp(what, "stack")) free_it(opaque(on_stack));
    if (!strcmp(what, "global")) free_it(opaque(global_bytes));
    if (!strcmp(what, "literal")) free_it(opaque("a literal"));
    if (!strcmp(what, "function")) free_it(opaque((void *)(uintptr_t)act));
    if (!strcmp(what, "mapped")) free_it(mapped(PROT_READ | PROT_WRITE));
    if (!strcmp(what, "protected")) free_it(mapped(PROT_NONE));
    if (!strcmp(what, "unmapped")) {
        void *page = mapped(PROT_READ);
        CHECK(munmap(page, 8192) == 0);
        free_it(page);
    }
    if (!strcmp(what, "null")) free_it(NULL);
}
