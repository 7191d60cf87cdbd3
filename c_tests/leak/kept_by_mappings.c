// crime: memory the program mapped itself holds what its own pointers reach; when nothing reaches it, what it holds is possibly lost
// origin: engine.md C 3 (unregistered anon mmap, MAP_SHARED anon; weak roots), Valgrind (reachable)
// case: private           | private keep   | silent
// case: shared            | shared keep    | silent
// case: forgotten-private | private forget | leak possible 1 blocks 1337 bytes frame 0 make_block
// case: forgotten-shared  | shared forget  | leak possible 1 blocks 1337 bytes frame 0 make_block
// case: freed             | private free   | silent
#include "scenario.h"
#include <sys/mman.h>

static void *volatile *volatile page;

static NOINLINE void *make_block(void) { return malloc(1337); }

/* A page alone between two that cannot be read, so that the kernel does not
   join it with a neighbour. */
static NOINLINE void *lonely_page(int flags) {
    char *pages = mmap(NULL, 3 * 4096, PROT_NONE, flags, -1, 0);
    CHECK((void *)pages != MAP_FAILED);
    CHECK(mprotect(pages + 4096, 4096, PROT_READ | PROT_WRITE) == 0);
    return pages + 4096;
}

static NOINLINE void scene(const char *sharing, const char *then) {
    int flags = MAP_ANONYMOUS | (strcmp(sharing, "shared") ? MAP_PRIVATE : MAP_SHARED);
    page = lonely_page(flags);
    page[10] = make_block();
    if (!strcmp(then, "free")) free(page[10]);
    if (!strcmp(then, "forget")) page = NULL;
}

int main(int argc, char **argv) {
    scene(argv[1], argv[2]);
    scrub_stack();
    return 0;
}
