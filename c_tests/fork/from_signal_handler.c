// innocent: fork() and _Fork() from a signal handler that interrupts malloc
// origin: glibc tst-malloc-fork-deadlock, tst-mallocfork2, FORK-02
// case: fork  | fork  | silent
// case: _Fork | _Fork | silent
#include "scenario.h"
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>

static volatile sig_atomic_t forks;
static int raw;

static void handler(int number) {
    int saved = errno;
    pid_t child = raw ? _Fork() : fork();
    if (child == 0) _exit(0);
    if (child > 0) {
        int status = 1;
        while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
        if (status != 0) _exit(FAILED);
        forks++;
    }
    errno = saved;
}

int main(int argc, char **argv) {
    struct itimerval every = {{0, 5000}, {0, 5000}};
    struct itimerval never = {{0, 0}, {0, 0}};
    raw = argv[1][0] == '_';
    signal(SIGALRM, handler);
    CHECK(setitimer(ITIMER_REAL, &every, NULL) == 0);
    while (forks < 150) {
        void *first = opaque(malloc(100));
        void *second = opaque(calloc(3, 3000));
        first = opaque(realloc(first, 50000));
        free(first);
        free(second);
    }
    CHECK(setitimer(ITIMER_REAL, &never, NULL) == 0);
    return 0;
}
