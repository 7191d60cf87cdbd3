// innocent: ten thousand short threads leave memory flat
// origin: glibc tst-malloc-tcache-leak, scenarios.md THR-02
// timeout: 60
// expect: silent
#include "scenario.h"
#include <pthread.h>

static void *body(void *unused) {
    void *blocks[30];
    for (int i = 0; i < 30; i++) blocks[i] = opaque(malloc((size_t)(i + 1) * 200));
    for (int i = 0; i < 30; i++) free(blocks[i]);
    return unused;
}

static long resident_kib(void) {
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file && fscanf(file, "%*d %ld", &pages) == 1);
    fclose(file);
    return pages * 4;
}

static void run(int count) {
    for (int i = 0; i < count; i += 4) {
        pthread_t threads[4];
        for (int k = 0; k < 4; k++) CHECK(pthread_create(&threads[k], NULL, body, NULL) == 0);
        for (int k = 0; k < 4; k++) CHECK(pthread_join(threads[k], NULL) == 0);
    }
}

int main(void) {
    run(1000);
    long before = resident_kib();
    run(10000);
    long after = resident_kib();
    printf("before %ld KiB, after %ld KiB\n", before, after);
    CHECK(after < before + 2048);
    return 0;
}
