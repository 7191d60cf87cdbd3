// baseline: no
// innocent: a 1 kHz SIGPROF handler that allocates and frees, in every thread
// origin: scenarios.md 2 row 11, SIG-01
// case: prof       | 1 | silent
// case: realtime   | 0 | silent
#include "scenario.h"
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>

static volatile int stop;
static volatile long signals;

static void handler(int number) {
    int saved = errno;
    char *block = malloc(60);
    if (block) block[0] = 1;
    void *large = malloc(5000);
    free(large);
    block = realloc(block, 300);
    free(block);
    __atomic_add_fetch(&signals, 1, __ATOMIC_RELAXED);
    errno = saved;
}

static void *body(void *seed) {
    unsigned state = (unsigned)(uintptr_t)seed;
    char *slots[32] = {NULL};
    size_t sizes[32] = {0};
    while (!stop) {
        state = state * 1103515245u + 12345u;
        int at = (int)(state >> 16) % 32;
        if (slots[at]) CHECK(slots[at][0] == (char)at && slots[at][sizes[at] - 1] == (char)at);
        free(slots[at]);
        sizes[at] = (state >> 9) % 3000 + 1;
        slots[at] = malloc(sizes[at]);
        slots[at][0] = slots[at][sizes[at] - 1] = (char)at;
    }
    for (int i = 0; i < 32; i++) free(slots[i]);
    return NULL;
}

int main(int argc, char **argv) {
    int profile = atoi(argv[1]);
    struct itimerval every = {{0, 1000}, {0, 1000}};
    struct itimerval never = {{0, 0}, {0, 0}};
    struct sigaction action;
    pthread_t threads[3];
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    action.sa_flags = SA_RESTART;
    sigaction(profile ? SIGPROF : SIGALRM, &action, NULL);
    for (long i = 0; i < 3; i++) CHECK(pthread_create(&threads[i], NULL, body, (void *)(i + 1)) == 0);
    CHECK(setitimer(profile ? ITIMER_PROF : ITIMER_REAL, &every, NULL) == 0);
    /* The kernel's tick bounds the rate (250 Hz and more). */
    for (int i = 0; i < 300 && signals < 400; i++) usleep(20000);
    CHECK(setitimer(profile ? ITIMER_PROF : ITIMER_REAL, &never, NULL) == 0);
    stop = 1;
    for (int i = 0; i < 3; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK(signals >= 50);
    return 0;
}
