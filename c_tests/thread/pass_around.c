// innocent: threads pass blocks to each other through a shared array and check their contents
// origin: mimalloc test-stress, hardened_malloc, xmalloc
// expect: silent
#include "scenario.h"
#include <pthread.h>

#define SLOTS 512
static char *slots[SLOTS];

static void release(char *block) {
    if (!block) return;
    size_t size = (unsigned char)block[0] * 40u + 2;
    CHECK(block[1] == block[size - 1]);
    free(block);
}

static void *body(void *seed) {
    unsigned state = (unsigned)(uintptr_t)seed * 2654435761u;
    for (int i = 0; i < 40000; i++) {
        state = state * 1103515245u + 12345u;
        unsigned char factor = (unsigned char)(state >> 20);
        size_t size = factor * 40u + 2;
        char *block = opaque(malloc(size));
        block[0] = (char)factor;
        block[1] = block[size - 1] = (char)state;
        if (size == 2) block[1] = (char)state;
        release(__atomic_exchange_n(&slots[(state >> 8) % SLOTS], block, __ATOMIC_ACQ_REL));
    }
    return NULL;
}

int main(void) {
    pthread_t threads[6];
    for (long i = 0; i < 6; i++) CHECK(pthread_create(&threads[i], NULL, body, (void *)(i + 1)) == 0);
    for (int i = 0; i < 6; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    for (int i = 0; i < SLOTS; i++) release(slots[i]);
    return 0;
}
