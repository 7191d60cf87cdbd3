// crime: a pointer read from freed memory is followed: the fault is explained and stays a fault
// origin: issue 3 (4), hardened_malloc read_after_free_small, tcmalloc UseAfterFreeReadDetected
// case: small       | 64 0 follow  | error heap-use-after-free size 64 frame 0 follow @read allocated 0 make_block freed 0 release; signal SIGSEGV
// case: last-word   | 64 56 follow | error heap-use-after-free size 64 frame 0 follow @read; signal SIGSEGV
// case: medium      | 5000 64 follow | error heap-use-after-free size 5000 frame 0 follow @read; signal SIGSEGV
// case: large       | 100000 64 follow | error heap-use-after-free size 100000 frame 0 follow @read; signal SIGSEGV
// case: not-explained | 64 0 follow | no-report; signal SIGSEGV
// options: handle_segv=0
// case: only-looked | 64 0 look    | silent
// case: innocent    | 64 0 none    | silent
#include "scenario.h"

struct holder { long *pointer; };

static NOINLINE void *make_block(size_t size) { return malloc(size); }
static NOINLINE void release(void *block) { free(block); }

static NOINLINE long follow(long **place) {
    long *pointer = *(long *volatile *)place;
    return *(volatile long *)pointer; /* @read */
}

int main(int argc, char **argv) {
    static long target = 5;
    size_t size = size_argument(argv[1]);
    size_t at = size_argument(argv[2]);
    char *block = make_block(size);
    for (size_t i = 0; i + 8 <= size; i += 8) *(long **)opaque(block + i) = &target;
    CHECK(follow((long **)(block + at)) == 5);
    release(opaque(block));
    if (!strcmp(argv[3], "look")) CHECK(*(long *volatile *)(block + at) != &target);
    if (!strcmp(argv[3], "follow")) follow((long **)(block + at));
    return 0;
}
