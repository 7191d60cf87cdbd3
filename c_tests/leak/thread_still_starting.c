// innocent: threads are being created while the program exits; their arguments are held
// origin: LLVM leak_check_before_thread_started, create_thread_leak, sanitizers 1836
// expect: silent
#include "scenario.h"
#include <pthread.h>

static void *wait_forever(void *block) {
    for (;;) pause();
    return block;
}

int main(void) {
    for (int i = 0; i < 50; i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, wait_forever, malloc(100)) == 0);
    }
    scrub_stack();
    return 0;
}
