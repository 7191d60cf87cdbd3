// innocent: one thread only allocates, the other only frees, and memory stays bounded
// origin: glibc tst-malloc-thread-exit, jemalloc #896, snmalloc thread_alloc_external
// expect: silent
#include "scenario.h"
#include <pthread.h>
#include <sched.h>

#define RING 1024
static void *ring[RING];
static volatile unsigned long made, taken;
#define ROUNDS 300000ul

static void *consume(void *unused) {
    while (taken < ROUNDS) {
        if (taken == __atomic_load_n(&made, __ATOMIC_ACQUIRE)) { sched_yield(); continue; }
        free(ring[taken % RING]);
        __atomic_store_n(&taken, taken + 1, __ATOMIC_RELEASE);
    }
    return unused;
}

static long resident_kib(void) {
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file && fscanf(file, "%*d %ld", &pages) == 1);
    fclose(file);
    return pages * 4;
}

int main(void) {
    pthread_t thread;
    long before = resident_kib();
    CHECK(pthread_create(&thread, NULL, consume, NULL) == 0);
    while (made < ROUNDS) {
        if (made - __atomic_load_n(&taken, __ATOMIC_ACQUIRE) == RING) { sched_yield(); continue; }
        ring[made % RING] = opaque(malloc(made % 400 + 1));
        __atomic_store_n(&made, made + 1, __ATOMIC_RELEASE);
    }
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(resident_kib() < before + 24 * 1024);
    return 0;
}
