// innocent: blocks held by live stack frames, of main under exit() and of a blocked thread
// origin: LLVM use_stacks, use_stacks_threaded, engine.md C 3 (blocked stack)
// case: return   | return | silent
// case: exit     | exit   | silent
// case: blocked  | thread | silent
// case: spinning | spin   | silent
// case: argument | argument | silent
#include "scenario.h"
#include <pthread.h>

static pthread_barrier_t ready;

static NOINLINE void deeper(void **slot, int how) {
    CHECK(*(void *volatile *)slot != NULL);
    if (how == 'e') exit(0);
    pthread_barrier_wait(&ready);
    if (how == 's') for (;;) __asm__ volatile("" : : "r"(slot) : "memory");
    for (;;) pause();
}

static void *live_thread(void *how) {
    void *block = malloc(1337);
    scrub_stack();
    deeper(&block, *(char *)how);
    return NULL;
}

static void *argument_thread(void *block) {
    (void)block;
    pthread_barrier_wait(&ready);
    for (;;) pause();
}

int main(int argc, char **argv) {
    pthread_t thread;
    CHECK(pthread_barrier_init(&ready, NULL, 2) == 0);
    if (!strcmp(argv[1], "exit")) {
        void *block = malloc(1337);
        deeper(&block, 'e');
    }
    if (!strcmp(argv[1], "return")) {
        /* Freed before main's frame dies: nothing is lost. */
        void *block = malloc(1337);
        free(opaque(block));
        return 0;
    }
    if (!strcmp(argv[1], "argument")) CHECK(pthread_create(&thread, NULL, argument_thread, malloc(1337)) == 0);
    else CHECK(pthread_create(&thread, NULL, live_thread, argv[1]) == 0);
    pthread_barrier_wait(&ready);
    scrub_stack();
    return 0;
}
