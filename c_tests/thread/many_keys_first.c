// innocent: forty keys exist before the first thread starts, so pthread_setspecific allocates inside thread start
// origin: snmalloc multi_setspecific, scenarios.md 2 row 4, THR-01
// expect: silent
#include "scenario.h"
#include <pthread.h>

static pthread_key_t keys[40];

static void *body(void *unused) {
    for (int i = 0; i < 40; i++) CHECK(pthread_setspecific(keys[i], malloc(64)) == 0);
    return unused;
}

int main(void) {
    for (int i = 0; i < 40; i++) CHECK(pthread_key_create(&keys[i], free) == 0);
    for (int i = 0; i < 20; i++) {
        pthread_t threads[4];
        for (int k = 0; k < 4; k++) CHECK(pthread_create(&threads[k], NULL, body, NULL) == 0);
        for (int k = 0; k < 4; k++) CHECK(pthread_join(threads[k], NULL) == 0);
    }
    return 0;
}
