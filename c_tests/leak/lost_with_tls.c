// crime: the thread whose thread-local variable held the block is gone
// origin: LLVM use_tls_static (negative), engine.md C
// case: crime    | lose | leak definite 1 blocks 1337 bytes frame 0 make_block
// case: innocent | free | silent
#include "scenario.h"
#include <pthread.h>

static __thread void *volatile in_tls;

static NOINLINE void *make_block(void) { return malloc(1337); }

static void *short_thread(void *how) {
    in_tls = make_block();
    if (!strcmp(how, "free")) free(in_tls);
    return NULL;
}

int main(int argc, char **argv) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, short_thread, argv[1]) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    scrub_stack();
    return 0;
}
