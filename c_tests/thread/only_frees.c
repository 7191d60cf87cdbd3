// innocent: threads that never allocate free what others made
// origin: jemalloc 2351 (free-only threads), tsd dalloc-only thread, THR-02
// expect: silent
#include "scenario.h"
#include <pthread.h>

static void *blocks[1000];

static void *only_free(void *unused) {
    for (int i = 0; i < 1000; i++) free(blocks[i]);
    return unused;
}

int main(void) {
    for (int round = 0; round < 50; round++) {
        pthread_t thread;
        for (int i = 0; i < 1000; i++) blocks[i] = opaque(malloc((size_t)(i * 37) % 9000));
        CHECK(pthread_create(&thread, NULL, only_free, NULL) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
    }
    return 0;
}
