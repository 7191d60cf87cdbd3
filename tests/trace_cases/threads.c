// case: threads that come and go, each with its own path
// expect: complete
// flags: -O2 -pthread
#include <pthread.h>
#include <stdlib.h>

__attribute__((noinline)) static void work(int depth, unsigned *seed) {
    void *volatile block = malloc(16 + rand_r(seed) % 100);
    if (depth) work(depth - 1, seed);
    free(block);
    block = malloc(8);
    free(block);
}
static void *thread(void *argument) {
    unsigned seed = (unsigned)(long)argument;
    for (int i = 0; i < 60; i++) work(rand_r(&seed) % 30, &seed);
    return 0;
}
int main(void) {
    for (long round = 0; round < 6; round++) {
        pthread_t threads[8];
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, round & 1 ? 64 << 10 : 1 << 20);
        for (long i = 0; i < 8; i++) pthread_create(&threads[i], &attributes, thread, (void *)(round * 8 + i));
        for (int i = 0; i < 8; i++) pthread_join(threads[i], 0);
    }
}
