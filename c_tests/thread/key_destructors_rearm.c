// innocent: key destructors allocate, free and set their key again, in all four rounds
// origin: scenarios.md 2 row 5, THR-02, jemalloc tsd reincarnation, LLVM cleanup_in_tsd_destructor
// expect: silent
#include "scenario.h"
#include <pthread.h>

static pthread_key_t first, second;
static int rounds;

static void destroy(void *value) {
    int *left = value;
    rounds++;
    free(opaque(malloc(3000)));
    free(opaque(calloc(1, 70000)));
    if (--*left > 0) {
        int *again = malloc(sizeof *again);
        *again = *left;
        pthread_setspecific(first, again);
    }
    free(left);
}

static void destroy_plainly(void *value) { free(value); free(opaque(malloc(100))); }

static void *body(void *unused) {
    int *left = malloc(sizeof *left);
    *left = 4;
    CHECK(pthread_setspecific(first, left) == 0);
    CHECK(pthread_setspecific(second, malloc(500)) == 0);
    return unused;
}

int main(void) {
    CHECK(pthread_key_create(&first, destroy) == 0);
    CHECK(pthread_key_create(&second, destroy_plainly) == 0);
    for (int i = 0; i < 100; i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, body, NULL) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
    }
    CHECK(rounds == 400);
    return 0;
}
