// crime: threads with the smallest stack the system allows can allocate, and can be caught at a crime
// origin: engine.md (scanner on its own stack), musl and Go programs with tiny stacks
// case: innocent | 0 | silent
// case: crime    | 1 | abort double-free size 64 frame 0 commit
#include "scenario.h"
#include <limits.h>
#include <pthread.h>

static int crime;

static NOINLINE void commit(void *block) { free(block); }

static void *body(void *unused) {
    for (int i = 0; i < 200; i++) free(opaque(realloc(opaque(malloc((size_t)i * 40)), 5000)));
    free(opaque(calloc(1, 100000)));
    void *block = opaque(malloc(64));
    free(block);
    if (crime) commit(block);
    return unused;
}

int main(int argc, char **argv) {
    pthread_attr_t attributes;
    crime = atoi(argv[1]);
    CHECK(pthread_attr_init(&attributes) == 0);
    CHECK(pthread_attr_setstacksize(&attributes, 16384 + 4096) == 0);
    for (int i = 0; i < 20; i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, &attributes, body, NULL) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
    }
    return 0;
}
