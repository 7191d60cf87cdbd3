// crime: an abort while other threads hammer the heap still prints its report and dies in time
// origin: scenarios.md REP-01, httrack 968, glibc tst-malloc-backtrace
// timeout: 10
// case: double-free | 1 | abort double-free size 64 frame 0 commit
// case: in-handler  | 2 | abort double-free size 64 frame 0 commit
// case: innocent    | 0 | silent
#include "scenario.h"
#include <pthread.h>
#include <signal.h>

static NOINLINE void commit(void) {
    void *block = opaque(malloc(64));
    free(block);
    free(block);
}

static void handler(int number) { commit(); }

static void *hammer(void *unused) {
    for (;;) {
        void *blocks[50];
        for (int i = 0; i < 50; i++) blocks[i] = opaque(malloc((size_t)i * 1000));
        for (int i = 0; i < 50; i++) free(blocks[i]);
    }
    return unused;
}

int main(int argc, char **argv) {
    pthread_t thread;
    for (int i = 0; i < 4; i++) CHECK(pthread_create(&thread, NULL, hammer, NULL) == 0);
    usleep(50000);
    signal(SIGUSR1, handler);
    if (argv[1][0] == '1') commit();
    if (argv[1][0] == '2') raise(SIGUSR1);
    return 0;
}
