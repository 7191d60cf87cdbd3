// case: handlers that allocate, raised and by a timer, on the thread's stack
// expect: complete
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>

// Blocks of the handler and of the program never mix: glibc's malloc is not
// re-entrant, so the timer's handler only runs outside it.
static volatile sig_atomic_t allowed, ticks;
__attribute__((noinline)) static void handler_work(int depth) {
    if (depth) handler_work(depth - 1);
    void *volatile block = malloc(40);
    free(block);
}
static void handler(int number) {
    (void)number;
    if (allowed) handler_work(3);
    ticks++;
}
__attribute__((noinline)) static long burn(int depth, long value) {
    if (depth) return burn(depth - 1, value) + 1;
    allowed = 1;
    for (int i = 0; i < 200000 && ticks < 2000; i++) value = value * 3 + i;
    allowed = 0;
    return value;
}
int main(void) {
    struct sigaction action = {.sa_handler = handler};
    sigaction(SIGUSR1, &action, 0);
    sigaction(SIGALRM, &action, 0);
    allowed = 1;
    for (int i = 0; i < 300; i++) raise(SIGUSR1);
    allowed = 0;
    struct itimerval every = {{0, 300}, {0, 300}};
    setitimer(ITIMER_REAL, &every, 0);
    volatile long value = 0;
    for (int i = 0; i < 3000 && ticks < 2000; i++) {
        value += burn(i % 9, i);
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGALRM);
        sigprocmask(SIG_BLOCK, &set, 0);
        free(malloc(24));
        sigprocmask(SIG_UNBLOCK, &set, 0);
    }
    return ticks > 300 ? 0 : 1;
}
