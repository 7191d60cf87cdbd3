// crime: many crimes in one run, each with its own record, from several threads
// origin: issue 3 (7), LLVM recoverable reports
// options: halt_on_error=0
// case: ten-double-frees | 10 1 | error double-free; error double-free; error double-free; error double-free; error double-free; error double-free; error double-free; error double-free; error double-free; error double-free
// case: three-threads    | 1 3  | error double-free frame 0 commit; error double-free frame 0 commit; error double-free frame 0 commit
// case: innocent         | 0 3  | silent
#include "scenario.h"
#include <pthread.h>

static int count;

static NOINLINE void commit(size_t size) {
    void *block = opaque(malloc(size));
    free(block);
    free(block);
}

static void *body(void *unused) {
    for (int i = 0; i < count; i++) commit((size_t)(i + 1) * 50);
    return unused;
}

int main(int argc, char **argv) {
    count = atoi(argv[1]);
    for (int i = 0; i < atoi(argv[2]); i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, body, NULL) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
    }
    return 0;
}
