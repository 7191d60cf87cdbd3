// innocent: a thread ends by return, pthread_exit, cancellation or detached, holding allocator state each time
// origin: glibc tst-malloc-thread-exit, LLVM detached threads
// case: return   | return   | silent
// case: exit     | exit     | silent
// case: cancel   | cancel   | silent
// case: detached | detached | silent
#include "scenario.h"
#include <pthread.h>

static volatile int running;

static void clean(void *block) { free(block); }

static void *body(void *how) {
    void *block = opaque(malloc(1000));
    free(opaque(malloc(50)));
    pthread_cleanup_push(clean, block);
    __atomic_add_fetch(&running, 1, __ATOMIC_SEQ_CST);
    if (!strcmp(how, "cancel")) for (;;) sleep(1);
    if (!strcmp(how, "exit")) pthread_exit(NULL);
    pthread_cleanup_pop(1);
    return NULL;
}

int main(int argc, char **argv) {
    for (int i = 0; i < 50; i++) {
        pthread_t thread;
        running = 0;
        CHECK(pthread_create(&thread, NULL, body, argv[1]) == 0);
        while (!running) usleep(100);
        if (!strcmp(argv[1], "cancel")) CHECK(pthread_cancel(thread) == 0);
        if (!strcmp(argv[1], "detached")) CHECK(pthread_detach(thread) == 0);
        else CHECK(pthread_join(thread, NULL) == 0);
    }
    if (!strcmp(argv[1], "detached")) usleep(200000);
    return 0;
}
