// crime: a leak is reported on return and exit() alike; _exit, quick_exit, abort and signals give no leak report
// origin: interface.md 3, llvm 195238, EXIT-02
// case: return      | return      | leak definite 1 blocks 32 bytes frame 0 make_block
// case: exit        | exit        | leak definite 1 blocks 32 bytes frame 0 make_block
// case: exit-in-thread | thread   | leak definite 1 blocks 32 bytes frame 0 make_block
// case: last-thread | pthread     | leak definite 1 blocks 32 bytes frame 0 make_block
// case: own-code    | exit 5      | leak definite 1 blocks 32 bytes; exit 5
// case: return-code | return 5    | leak definite 1 blocks 32 bytes; exit 5
// case: _exit       | _exit       | no-report; exit 0
// case: quick_exit  | quick_exit  | no-report; exit 0
// case: abort       | abort       | no-report; signal SIGABRT
// case: signal      | kill        | no-report; signal SIGTERM
// case: fault       | fault       | no-report; signal SIGSEGV
// case: innocent-return | return 0 free | silent
// case: innocent-exit   | exit 0 free   | silent
// case: innocent-code   | exit 5 free   | silent; exit 5
#include "scenario.h"
#include <pthread.h>
#include <signal.h>

static NOINLINE void *make_block(void) { return malloc(32); }

static NOINLINE void scene(int release) {
    void *block = make_block();
    if (release) free(block);
    lose(&block);
}

static void *exiting_thread(void *unused) {
    exit(0);
    return unused;
}

static void *slow_thread(void *unused) {
    usleep(50000);
    return unused;
}

int main(int argc, char **argv) {
    const char *how = argv[1];
    int code = argc > 2 ? atoi(argv[2]) : 0;
    pthread_t thread;
    scene(argc > 3);
    scrub_stack();
    if (!strcmp(how, "exit")) exit(code);
    if (!strcmp(how, "_exit")) _exit(code);
    if (!strcmp(how, "quick_exit")) quick_exit(code);
    if (!strcmp(how, "abort")) abort();
    if (!strcmp(how, "kill")) raise(SIGTERM);
    if (!strcmp(how, "fault")) *(volatile int *)opaque((void *)16) = 1;
    if (!strcmp(how, "thread")) {
        CHECK(pthread_create(&thread, NULL, exiting_thread, NULL) == 0);
        for (;;) pause();
    }
    if (!strcmp(how, "pthread")) {
        CHECK(pthread_create(&thread, NULL, slow_thread, NULL) == 0);
        pthread_exit(NULL);
    }
    return code;
}
