// innocent: five hundred threads alive at once, all holding blocks, and a check over all of them
// origin: engine.md C 2b, LLVM high_allocator_contention
// timeout: 40
// expect: silent
#include "scenario.h"
#include <pthread.h>

#define COUNT 500
static pthread_barrier_t ready;

static void *body(void *seed) {
    void *blocks[10];
    for (int i = 0; i < 10; i++) blocks[i] = malloc(100 + (size_t)seed % 1000);
    pthread_barrier_wait(&ready);
    for (;;) {
        pause();
        __asm__ volatile("" : : "r"(blocks) : "memory");
    }
    return NULL;
}

int main(void) {
    pthread_attr_t attributes;
    CHECK(pthread_attr_init(&attributes) == 0);
    CHECK(pthread_attr_setstacksize(&attributes, 65536) == 0);
    CHECK(pthread_barrier_init(&ready, NULL, COUNT + 1) == 0);
    for (uintptr_t i = 0; i < COUNT; i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, &attributes, body, (void *)i) == 0);
    }
    pthread_barrier_wait(&ready);
    scrub_stack();
    return 0;
}
