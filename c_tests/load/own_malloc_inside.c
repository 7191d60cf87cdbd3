// crime: memory of the program's own allocator handed to free is refused deterministically
// origin: scenarios.md 2 row 17, LOAD-06
// case: from-arena | arena | abort bad-free frame 0 release
// case: innocent   | own   | silent
#include "scenario.h"
#include <sys/mman.h>

static char *arena;
static size_t used;

static void *arena_allocate(size_t size) {
    if (!arena) arena = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    void *block = arena + used;
    used += (size + 15) & ~(size_t)15;
    return block;
}

static NOINLINE void release(void *block) { free(block); }

int main(int argc, char **argv) {
    char *own = arena_allocate(100);
    char *ours = opaque(malloc(100));
    strcpy(own, "x");
    release(!strcmp(argv[1], "arena") ? own : ours);
    return 0;
}
