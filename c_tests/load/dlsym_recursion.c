// innocent: dlsym of a missing symbol, dlerror and dlopen of a missing file allocate inside libc
// origin: scenarios.md 2 row 2, redhook 15, jemalloc 329, LOAD-02
// expect: silent
#include "scenario.h"
#include <dlfcn.h>
#include <pthread.h>

static void *probe(void *unused) {
    for (int i = 0; i < 100; i++) {
        CHECK(dlsym(RTLD_DEFAULT, "no_such_symbol") == NULL);
        CHECK(dlerror() != NULL);
        CHECK(dlopen("/no/such/library.so", RTLD_NOW) == NULL);
        CHECK(dlerror() != NULL);
    }
    return unused;
}

int main(void) {
    pthread_t thread;
    /* A program that allocates only through libc would not draw in the archive. */
    free(opaque(malloc(10)));
    probe(NULL);
    CHECK(pthread_create(&thread, NULL, probe, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    return 0;
}
