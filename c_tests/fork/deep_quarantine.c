// innocent: quarantine and remote frees in flight at the moment of fork are whole in the child
// origin: snmalloc 630 735, jemalloc 1805
// expect: silent
#include "scenario.h"
#include <pthread.h>
#include <sys/wait.h>

static void *volatile mailbox[1000];
static volatile int stop;

static void *release_all(void *unused) {
    while (!stop)
        for (int i = 0; i < 1000; i++) free(__atomic_exchange_n(&mailbox[i], NULL, __ATOMIC_ACQ_REL));
    return unused;
}

int main(void) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, release_all, NULL) == 0);
    for (int round = 0; round < 100; round++) {
        for (int i = 0; i < 1000; i++)
            free(__atomic_exchange_n(&mailbox[i], malloc((size_t)i % 500), __ATOMIC_ACQ_REL));
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            for (int i = 0; i < 1000; i++) free(mailbox[i]);
            for (int i = 0; i < 3000; i++) free(opaque(malloc((size_t)i % 700)));
            _exit(0);
        }
        int status;
        CHECK(waitpid(child, &status, 0) == child && status == 0);
    }
    stop = 1;
    CHECK(pthread_join(thread, NULL) == 0);
    for (int i = 0; i < 1000; i++) free(mailbox[i]);
    return 0;
}
