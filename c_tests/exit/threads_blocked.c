// crime: threads blocked in system calls, with all signals masked, or stopped do not hang the check
// origin: engine.md C 2h, issue 2 "every wait has a deadline"
// case: innocent-read | read 0  | silent
// case: read          | read 1  | leak definite 1 blocks 32 bytes frame 0 make_block
// case: masked        | mask 1  | leak definite 1 blocks 32 bytes frame 0 make_block; any notice
// case: mutex         | mutex 1 | leak definite 1 blocks 32 bytes frame 0 make_block
// case: many          | many 1  | leak definite 1 blocks 32 bytes frame 0 make_block
#include "scenario.h"
#include <pthread.h>
#include <signal.h>

static NOINLINE void *make_block(void) { return malloc(32); }

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int ends[2];
static volatile int started;

static void *body(void *how) {
    char byte;
    sigset_t all;
    void *held = malloc(100);
    started++;
    if (!strcmp(how, "mask")) {
        sigfillset(&all);
        pthread_sigmask(SIG_BLOCK, &all, NULL);
        for (;;) __asm__ volatile("pause" : : "r"(&held) : "memory");
    }
    if (!strcmp(how, "mutex")) pthread_mutex_lock(&mutex);
    else if (read(ends[0], &byte, 1) < 0) _exit(FAILED);
    return held;
}

int main(int argc, char **argv) {
    int count = strcmp(argv[1], "many") ? 2 : 60;
    CHECK(pipe(ends) == 0);
    pthread_mutex_lock(&mutex);
    for (int i = 0; i < count; i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, body, argv[1]) == 0);
    }
    while (started < count) usleep(1000);
    usleep(50000);
    if (atoi(argv[2])) {
        void *block = make_block();
        lose(&block);
    }
    scrub_stack();
    return 0;
}
