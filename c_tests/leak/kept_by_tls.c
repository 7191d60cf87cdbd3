// innocent: blocks held by static thread-local storage of main and of a live thread
// origin: LLVM use_tls_static, engine.md C 3 (static TLS)
// expect: silent
#include "scenario.h"
#include <pthread.h>

static __thread void *volatile in_tls;
static __thread char padding[3000];
static __thread void *volatile in_tls_too = (void *)1;

static pthread_barrier_t ready;

static NOINLINE void *make_block(void) { return malloc(1337); }

static NOINLINE void fill(void) {
    in_tls = make_block();
    in_tls_too = make_block();
    padding[0] = 1;
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
    fill();
    CHECK(pthread_barrier_init(&ready, NULL, 2) == 0);
    CHECK(pthread_create(&thread, NULL, live_thread, NULL) == 0);
    pthread_barrier_wait(&ready);
    scrub_stack();
    return 0;
}
