// innocent: the return value of a finished thread that nobody has joined yet
// origin: engine.md C 3 (return value of exited unjoined thread)
// expect: silent
#include "scenario.h"
#include <pthread.h>

static volatile int done;

static void *short_thread(void *unused) {
    void *block = malloc(1337);
    done = 1;
    return block;
}

static pthread_t thread;

int main(void) {
    CHECK(pthread_create(&thread, NULL, short_thread, NULL) == 0);
    while (!done) usleep(1000);
    usleep(50000);
    scrub_stack();
    return 0;
}
