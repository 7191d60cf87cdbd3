// innocent: more threads than processors, each size class contended, cross frees in bursts
// origin: larson, xmalloc, cache-scratch
// expect: silent
#include "scenario.h"
#include <pthread.h>

#define THREADS 8
#define BURST 300
static void *volatile mailbox[THREADS][BURST];

static void *body(void *number) {
    uintptr_t me = (uintptr_t)number;
    for (int round = 0; round < 150; round++) {
        for (int i = 0; i < BURST; i++) {
            size_t size = (size_t)1 << (i % 14);
            char *block = malloc(size);
            block[0] = block[size - 1] = (char)i;
            void *old = __atomic_exchange_n(&mailbox[(me + 1) % THREADS][i], (void *)block, __ATOMIC_ACQ_REL);
            if (old) {
                char *bytes = old;
                CHECK(bytes[0] == (char)i && bytes[size - 1] == (char)i);
                free(old);
            }
        }
        for (int i = 0; i < BURST; i += 2) free(__atomic_exchange_n(&mailbox[me][i], NULL, __ATOMIC_ACQ_REL));
    }
    return NULL;
}

int main(void) {
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++) CHECK(pthread_create(&threads[i], NULL, body, (void *)i) == 0);
    for (int i = 0; i < THREADS; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    for (int t = 0; t < THREADS; t++)
        for (int i = 0; i < BURST; i++) free(mailbox[t][i]);
    return 0;
}
