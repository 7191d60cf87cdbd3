// crime: what a key's destructor frees is no leak; a key without destructor loses its value with the thread
// origin: LLVM cleanup_in_tsd_destructor, disabler_in_tsd_destructor
// case: innocent | with    | silent
// case: crime    | without | leak definite 1 blocks 1337 bytes frame 0 make_block
#include "scenario.h"
#include <pthread.h>

static pthread_key_t key;

static NOINLINE void *make_block(void) { return malloc(1337); }

static void *body(void *unused) {
    CHECK(pthread_setspecific(key, make_block()) == 0);
    return unused;
}

int main(int argc, char **argv) {
    pthread_t thread;
    CHECK(pthread_key_create(&key, strcmp(argv[1], "with") ? NULL : free) == 0);
    CHECK(pthread_create(&thread, NULL, body, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    scrub_stack();
    return 0;
}
