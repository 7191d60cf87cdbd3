// crime: the report is whole although signals interrupt its every write
// origin: scenarios.md 2 row 39, REP-02 (EINTR storm)
// case: double-free | 1 | abort double-free size 64 frame 0 commit
// case: leak        | 2 | leak definite 1 blocks 64 bytes frame 0 commit
// case: innocent    | 0 | silent
#include "scenario.h"
#include <signal.h>
#include <sys/time.h>

static volatile int signals;

static NOINLINE void commit(int twice) {
    void *block = opaque(malloc(64));
    if (twice) {
        free(block);
        free(block);
    }
    lose(&block);
}

static void handler(int number) { signals++; }

int main(int argc, char **argv) {
    struct itimerval every = {{0, 100}, {0, 100}};
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler; /* no SA_RESTART */
    sigaction(SIGALRM, &action, NULL);
    CHECK(setitimer(ITIMER_REAL, &every, NULL) == 0);
    while (signals < 10) continue;
    if (argv[1][0] != '0') commit(argv[1][0] == '1');
    scrub_stack();
    return 0;
}
