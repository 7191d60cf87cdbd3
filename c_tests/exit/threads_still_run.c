// crime: the program exits while other threads still allocate; the report is right and nothing hangs
// origin: LLVM high_allocator_contention, signal_during_stop_the_world
// case: innocent | 0 | silent
// case: crime    | 3 | leak definite 3 blocks 96 bytes frame 0 make_block
#include "scenario.h"
#include <pthread.h>

static NOINLINE void *make_block(void) { return malloc(32); }

static void *slots[4][64];

static void *body(void *number) {
    void **mine = slots[(uintptr_t)number];
    unsigned state = (unsigned)(uintptr_t)number + 1;
    for (;;) {
        state = state * 1103515245u + 12345u;
        unsigned at = (state >> 16) % 64;
        free(mine[at]);
        mine[at] = NULL;
        mine[at] = malloc((state >> 8) % 4000);
    }
    return NULL;
}

int main(int argc, char **argv) {
    pthread_t thread;
    for (uintptr_t i = 0; i < 4; i++) CHECK(pthread_create(&thread, NULL, body, (void *)i) == 0);
    for (int i = 0; i < atoi(argv[1]); i++) {
        void *block = make_block();
        lose(&block);
    }
    usleep(100000);
    scrub_stack();
    return 0;
}
