// innocent: a handler calls exit while its thread, and others, are inside malloc: the check comes to its end, each time
// origin: EXIT-01, glibc tst-mallocfork2; a wait for the heap's locks without a deadline
// options: check_children=1
// timeout: 60
// case: main-thread   | main   | silent
// case: other-threads | others | silent
#include "scenario.h"
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>

static int signals;

static void handler(int number) {
    if (__atomic_add_fetch(&signals, 1, __ATOMIC_SEQ_CST) == 5) exit(0);
}

static void *hammer(void *unused) {
    /* Sizes of slabs and of spans: all locks of the heap are taken now and then. */
    for (unsigned i = 0;; i++) {
        void *blocks[8];
        for (unsigned k = 0; k < 8; k++) blocks[k] = opaque(malloc((size_t)100 << ((i + k) % 13)));
        for (unsigned k = 0; k < 8; k++) free(blocks[k]);
    }
    return unused;
}

static void child(int others) {
    pthread_t thread;
    signal(SIGALRM, handler);
    struct itimerval often = {{0, 700}, {0, 700}};
    if (others) {
        sigset_t set;
        for (int i = 0; i < 3; i++) CHECK(pthread_create(&thread, NULL, hammer, NULL) == 0);
        sigemptyset(&set);
        sigaddset(&set, SIGALRM);
        pthread_sigmask(SIG_BLOCK, &set, NULL);
        setitimer(ITIMER_REAL, &often, NULL);
        for (;;) pause();
    }
    setitimer(ITIMER_REAL, &often, NULL);
    hammer(NULL);
}

int main(int argc, char **argv) {
    for (int i = 0; i < 12; i++) {
        pid_t process = fork();
        CHECK(process >= 0);
        if (process == 0) child(!strcmp(argv[1], "others"));
        int status;
        CHECK(waitpid(process, &status, 0) == process);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    return 0;
}
