// crime: a second thread writes through the pointer the first one freed
// origin: hardened_malloc write_after_free, LLVM double_free_threaded, issue 3 (other thread)
// case: small    | 64 1     | abort heap-use-after-free size 64 offset 9 allocated 0 make_block freed 0 release
// case: large    | 100000 1 | abort heap-use-after-free size 100000 offset 9 allocated 0 make_block freed 0 release
// case: innocent | 64 0     | silent
#include "scenario.h"
#include <pthread.h>

static char *volatile shared;

static NOINLINE char *make_block(size_t size) { return malloc(size); }
static NOINLINE void release(char *block) { free(block); }

static void *writer(void *unused) {
    damage(shared + 9);
    return unused;
}

int main(int argc, char **argv) {
    pthread_t thread;
    shared = make_block(size_argument(argv[1]));
    release(shared);
    if (atoi(argv[2])) {
        CHECK(pthread_create(&thread, NULL, writer, NULL) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
    }
    return 0;
}
