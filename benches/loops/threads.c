// usage: threads ALLOCATIONS THREADS
// Each thread makes that many allocations of its own, random lifetimes, 8 to
// 400 bytes, with nothing shared but the allocator. Compare the wall time of one
// thread with that of two, and of two with 64 that have the same work together.
#include <pthread.h>

#include "loop.h"

enum { LIVE = 2000, MOST_THREADS = 256 };

static size_t allocations;

static void *work(void *seed) {
    random_t random = random_from((uint64_t)(uintptr_t)seed);
    void *block[LIVE] = {0};
    size_t size[LIVE];
    for (size_t i = 0; i < allocations; i++) {
        size_t at = random_between(&random, 0, LIVE - 1);
        if (block[at] != NULL) {
            verify(block[at], size[at]);
            free(block[at]);
        }
        size[at] = random_between(&random, 8, 400);
        block[at] = must(malloc(size[at]));
        sign(block[at], size[at]);
    }
    for (size_t i = 0; i < LIVE; i++)
        free(block[i]);
    return NULL;
}

int main(int argc, char **argv) {
    allocations = allocations_wanted(argc, argv);
    size_t threads = argc > 2 ? (size_t)atoi(argv[2]) : 1;
    if (threads < 1 || threads > MOST_THREADS) {
        fprintf(stderr, "usage: %s ALLOCATIONS THREADS (1 to %d)\n", argv[0], MOST_THREADS);
        return 2;
    }
    pthread_t thread[MOST_THREADS];
    for (size_t i = 0; i < threads; i++)
        expect(pthread_create(&thread[i], NULL, work, (void *)(uintptr_t)(i + 11)) == 0);
    for (size_t i = 0; i < threads; i++)
        pthread_join(thread[i], NULL);
    return 0;
}
