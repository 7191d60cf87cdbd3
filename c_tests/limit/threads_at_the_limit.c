// innocent: threads allocate until nothing is left, give back, and do it again
// origin: glibc tst-malloc-thread-fail
// case: heap-limit | 4 | any exhaustion; any warning; exit 0
// options: heap_limit_mb=64
#include "scenario.h"
#include <pthread.h>
#include <sys/resource.h>

static volatile int refused;

static void *body(void *number) {
    static const size_t sizes[] = {100, 3000, 40000, 1000000};
    size_t size = sizes[(uintptr_t)number % 4];
    void *list = NULL;
    for (int round = 0; round < 2; round++) {
        size_t total = 0;
        for (;;) {
            void **block = malloc(size);
            if (!block) { __atomic_add_fetch(&refused, 1, __ATOMIC_RELAXED); break; }
            *block = list;
            list = block;
            if ((total += size) > (20u << 20)) break;
        }
        while (list) {
            void *next = *(void **)list;
            free(list);
            list = next;
        }
    }
    return NULL;
}

int main(int argc, char **argv) {
    pthread_t threads[8];
    int count = atoi(argv[1]);
    for (long i = 0; i < count; i++) CHECK(pthread_create(&threads[i], NULL, body, (void *)i) == 0);
    for (int i = 0; i < count; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    void *after = malloc(1000000);
    CHECK(after != NULL);
    free(opaque(after));
    return 0;
}
