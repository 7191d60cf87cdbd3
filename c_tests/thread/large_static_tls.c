// innocent: a program with a megabyte of thread-local storage of its own
// origin: scenarios.md 2 row 3
// expect: silent
#include "scenario.h"
#include <pthread.h>

static __thread char area[1 << 20];
static __thread void *volatile in_tls;

static void *body(void *unused) {
    area[12345] = 1;
    in_tls = malloc(77);
    for (int i = 0; i < 100; i++) free(opaque(malloc((size_t)i)));
    free(in_tls);
    return unused;
}

int main(void) {
    body(NULL);
    for (int i = 0; i < 50; i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, body, NULL) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
    }
    in_tls = malloc(1337);
    scrub_stack();
    return 0;
}
