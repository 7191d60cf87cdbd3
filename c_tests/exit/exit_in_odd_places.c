// crime: exit() from a signal handler, from an atexit function, from a key's destructor: one report, right code
// origin: EXIT-01, snmalloc multi_atexit, LLVM exit_atexit_stale_stack
// case: handler     | handler lose | leak definite 1 blocks 32 bytes frame 0 make_block
// case: atexit      | atexit lose  | leak definite 1 blocks 32 bytes frame 0 make_block; exit 3
// case: key         | key lose     | leak definite 1 blocks 32 bytes frame 0 make_block
// case: innocent-handler | handler free | silent
// case: innocent-atexit  | atexit free  | silent; exit 3
// case: innocent-key     | key free     | silent
#include "scenario.h"
#include <pthread.h>
#include <signal.h>

static NOINLINE void *make_block(void) { return malloc(32); }

static void handler(int number) { exit(0); }
static void exits_again(void) { exit(3); }
static void destructor(void *value) { exit(0); }

static void *body(void *unused) {
    pthread_key_t key;
    CHECK(pthread_key_create(&key, destructor) == 0);
    CHECK(pthread_setspecific(key, (void *)1) == 0);
    return unused;
}

static NOINLINE void scene(int release) {
    void *block = make_block();
    if (release) free(block);
    lose(&block);
}

int main(int argc, char **argv) {
    pthread_t thread;
    scene(!strcmp(argv[2], "free"));
    if (!strcmp(argv[1], "handler")) {
        signal(SIGUSR1, handler);
        raise(SIGUSR1);
    }
    if (!strcmp(argv[1], "atexit")) CHECK(atexit(exits_again) == 0);
    if (!strcmp(argv[1], "key")) {
        CHECK(pthread_create(&thread, NULL, body, NULL) == 0);
        for (;;) pause();
    }
    return 0;
}
