// innocent: the only pointer lies in memory the program mapped itself: at worst "possible", never lost
// origin: engine.md C 3 (unregistered anon mmap, MAP_SHARED anon; weak roots)
// note: a block held only by foreign mappings is possible, not reachable
// case: private | private | leak possible 1 blocks 1337 bytes frame 0 make_block
// case: shared  | shared  | leak possible 1 blocks 1337 bytes frame 0 make_block
// case: freed   | free    | silent
#include "scenario.h"
#include <sys/mman.h>

static void *volatile *volatile page;

static NOINLINE void *make_block(void) { return malloc(1337); }

static NOINLINE void scene(const char *how) {
    int sharing = strcmp(how, "shared") ? MAP_PRIVATE : MAP_SHARED;
    page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, sharing | MAP_ANONYMOUS, -1, 0);
    CHECK(page != MAP_FAILED);
    page[10] = make_block();
    if (!strcmp(how, "free")) free(page[10]);
}

int main(int argc, char **argv) {
    scene(argv[1]);
    scrub_stack();
    return 0;
}
