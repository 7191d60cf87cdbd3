// crime: a block of glibc's own heap, got past the library, is handed to free
// origin: scenarios.md 2 rows 15 to 17 (foreign blocks)
// link: preload
// case: crime    | foreign | abort bad-free frame 0 release
// case: innocent | own     | silent
#include "scenario.h"

extern void *__libc_malloc(size_t);

static NOINLINE void release(void *block) { free(block); }

int main(int argc, char **argv) {
    void *foreign = opaque(__libc_malloc(100));
    void *own = opaque(malloc(100));
    CHECK(foreign != NULL);
    if (!strcmp(argv[1], "foreign")) release(foreign);
    release(own);
    return 0;
}
