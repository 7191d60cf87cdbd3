// crime: the writer, the allocator and the releaser are three different threads
// origin: issue 3 (other thread), OpenBSD malloc_threaderr
// case: small    | 48 1     | abort heap-buffer-overflow size 48 offset 48 frame 0 release allocated 0 make_block
// case: large    | 100000 1 | abort heap-buffer-overflow size 100000 offset 100000 frame 0 release allocated 0 make_block
// case: innocent | 48 0     | silent
#include "scenario.h"
#include <pthread.h>

static size_t size;
static int crime;
static char *volatile block;

static NOINLINE char *make_block(void) { return malloc(size); }
static NOINLINE void release(void) { free(block); }

static void *maker(void *unused) { block = make_block(); return unused; }
static void *writer(void *unused) { if (crime) damage(block + size); return unused; }
static void *releaser(void *unused) { release(); return unused; }

int main(int argc, char **argv) {
    void *(*bodies[])(void *) = {maker, writer, releaser};
    size = size_argument(argv[1]);
    crime = atoi(argv[2]);
    for (int i = 0; i < 3; i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, bodies[i], NULL) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
    }
    return 0;
}
