// crime: blocks of the program's own pools are checked each by itself once they are marked
// origin: issue 4 (memory pools); Valgrind's MALLOCLIKE_BLOCK and FREELIKE_BLOCK
// baseline: no
// case: lost            | heap lost     | leak definite 1 blocks 100 bytes frame 0 take
// case: lost-mmap       | mmap lost     | leak definite 1 blocks 100 bytes frame 0 take
// case: lost-array      | array lost    | leak definite 1 blocks 100 bytes frame 0 take
// case: interior        | heap interior | leak possible 1 blocks 100 bytes frame 0 take
// case: holds-heap      | heap heap     | leak definite 1 blocks 100 bytes frame 0 take; leak indirect 1 blocks 1337 bytes frame 0 make_block
// case: holds-marked    | heap marked   | leak definite 1 blocks 100 bytes frame 0 take; leak indirect 1 blocks 100 bytes frame 0 take
// case: pool-lost       | heap pool     | leak definite 1 blocks 65536 bytes frame 0 make_pool
// case: kept            | heap kept     | silent
// case: kept-mmap       | mmap kept     | silent
// case: kept-array      | array kept    | silent
// case: kept-by-marked  | heap chain    | silent
// case: keeps-its-pool  | heap only     | silent
// case: given-back      | heap back     | silent
// case: emptied         | heap emptied  | silent
// case: pool-freed      | heap freed    | silent
// case: unmapped        | mmap unmapped | silent
// case: unmarked-twin   | heap unmarked | silent
#include "scenario.h"
#include <sys/mman.h>

extern int heapwarden_malloc_like(const void *block, size_t bytes) __attribute__((weak));
extern int heapwarden_free_like(const void *block) __attribute__((weak));
extern size_t heapwarden_free_like_all(const void *start, size_t bytes) __attribute__((weak));

enum { POOL = 65536, SIZE = 100, STEP = 112 };

static char array[POOL] __attribute__((aligned(16)));
static char *volatile pool;
static size_t used;
static int marks = 1;
static void *volatile kept;

static NOINLINE void *make_block(void) { return malloc(1337); }
static NOINLINE char *make_pool(void) { return malloc(POOL); }

static NOINLINE void *take(void) {
    char *block = pool + 64 + used;
    used += STEP;
    CHECK(used + STEP < POOL);
    memset(block, 0, SIZE);
    if (marks) CHECK(heapwarden_malloc_like(block, SIZE) == 0);
    return opaque(block);
}

static NOINLINE void scene(const char *where, const char *what) {
    if (!strcmp(where, "heap")) pool = make_pool();
    if (!strcmp(where, "array")) pool = array;
    if (!strcmp(where, "mmap")) pool = mmap(NULL, POOL, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    marks = strcmp(what, "unmarked") != 0;
    void **block = take();
    /* A neighbour that is kept, and one that was given back. */
    kept = take();
    void *other = take();
    if (marks) CHECK(heapwarden_free_like(other) == 0 && heapwarden_free_like(other) == -1);
    other = NULL;
    if (!strcmp(what, "interior")) kept = (char *)block + 16;
    if (!strcmp(what, "interior")) CHECK(heapwarden_free_like(pool + 64 + STEP) == 0);
    if (!strcmp(what, "heap")) block[3] = make_block();
    if (!strcmp(what, "marked")) block[3] = take();
    if (!strcmp(what, "pool")) kept = pool = NULL;
    if (!strcmp(what, "kept")) ((void **)kept)[2] = block;
    if (!strcmp(what, "chain")) {
        block[3] = make_block();
        ((void **)kept)[2] = block;
    }
    if (!strcmp(what, "only")) {
        ((void **)kept)[2] = block;
        pool = NULL;
    }
    if (!strcmp(what, "back")) CHECK(heapwarden_free_like(block) == 0);
    if (!strcmp(what, "emptied")) CHECK(heapwarden_free_like_all(pool, POOL) == 2);
    if (!strcmp(what, "freed")) {
        kept = NULL;
        free(pool);
        pool = NULL;
    }
    if (!strcmp(what, "unmapped")) {
        kept = NULL;
        CHECK(munmap(pool, POOL) == 0);
    }
    lose(&block);
}

int main(int argc, char **argv) {
    if (!heapwarden_malloc_like) return 0;
    CHECK(heapwarden_malloc_like(NULL, 10) == -1 && heapwarden_malloc_like(array, 0) == -1);
    scene(argv[1], argv[2]);
    scrub_stack();
    return 0;
}
