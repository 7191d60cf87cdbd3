// crime: detached threads leave nothing of their own behind; what their code lost is named
// origin: LLVM detached_thread_dlsym, create_thread_leak
// case: crime    | lose | leak definite 20 blocks 640 bytes frame 0 make_block frame 1 body
// case: innocent | free | silent
#include "scenario.h"
#include <pthread.h>

static int losing;
static volatile int ended;

static NOINLINE void *make_block(void) { return malloc(32); }

static void *body(void *unused) {
    void *block = make_block();
    if (!losing) free(block);
    lose(&block);
    __atomic_add_fetch(&ended, 1, __ATOMIC_SEQ_CST);
    return unused;
}

int main(int argc, char **argv) {
    losing = !strcmp(argv[1], "lose");
    for (int i = 0; i < 20; i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, body, NULL) == 0);
        CHECK(pthread_detach(thread) == 0);
    }
    while (ended < 20) usleep(1000);
    usleep(50000);
    scrub_stack();
    return 0;
}
