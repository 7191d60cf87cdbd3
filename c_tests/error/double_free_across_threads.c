// crime: two threads free the same block, one after the other
// origin: LLVM double_free_threaded, OpenBSD malloc_threaderr
// case: owner-first   | 32 owner    | abort double-free size 32 frame 0 free_again allocated 0 make_block freed 0 free_once
// case: other-first   | 32 other    | abort double-free size 32 frame 0 free_again allocated 0 make_block freed 0 free_once
// case: both-others   | 32 others   | abort double-free size 32 frame 0 free_again allocated 0 make_block freed 0 free_once
// case: large         | 100000 owner | abort double-free size 100000 frame 0 free_again
// case: large-other   | 100000 other | abort double-free size 100000 frame 0 free_again
// case: innocent       | 32 innocent     | silent
// case: innocent-large | 100000 innocent | silent
#include "scenario.h"
#include <pthread.h>

static NOINLINE void *make_block(size_t size) { return malloc(size); }
static NOINLINE void free_once(void *block) { free(block); }
static NOINLINE void free_again(void *block) { free(block); }

static void *once(void *block) { free_once(block); return NULL; }
static void *again(void *block) { free_again(block); return NULL; }

static void in_thread(void *(*body)(void *), void *block) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, body, block) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
}

int main(int argc, char **argv) {
    void *block = make_block(size_argument(argv[1]));
    if (strcmp(argv[2], "owner") == 0) { free_once(block); in_thread(again, block); }
    if (strcmp(argv[2], "other") == 0) { in_thread(once, block); free_again(block); }
    if (strcmp(argv[2], "others") == 0) { in_thread(once, block); in_thread(again, block); }
    if (strcmp(argv[2], "innocent") == 0) in_thread(once, block);
    return 0;
}
