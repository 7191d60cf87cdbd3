// innocent: blocks held by pthread keys, low and high, of main and of a live thread
// origin: LLVM use_tls_pthread_specific_{static,dynamic}, many_tls_keys_pthread, engine.md C 3 (key 0/150)
// expect: silent
#include "scenario.h"
#include <pthread.h>

#define KEYS 200
static pthread_key_t keys[KEYS];
static pthread_barrier_t ready;

static NOINLINE void fill(void) {
    for (int i = 0; i < KEYS; i++) CHECK(pthread_setspecific(keys[i], malloc(100)) == 0);
}

static void *live_thread(void *unused) {
    fill();
    scrub_stack();
    pthread_barrier_wait(&ready);
    for (;;) pause();
    return unused;
}

int main(void) {
    pthread_t thread;
    for (int i = 0; i < KEYS; i++) CHECK(pthread_key_create(&keys[i], NULL) == 0);
    fill();
    CHECK(pthread_barrier_init(&ready, NULL, 2) == 0);
    CHECK(pthread_create(&thread, NULL, live_thread, NULL) == 0);
    pthread_barrier_wait(&ready);
    scrub_stack();
    return 0;
}
