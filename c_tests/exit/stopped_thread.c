// crime: a thread that never answers (it waits in vfork for a child that sleeps) delays the check by its deadline at most
// origin: issue 2, "every wait has a deadline"
// timeout: 15
// case: crime    | lose | any leak definite; any notice; exit 23
// case: innocent | free | any leak possible; any notice; exit 0
#include "scenario.h"
#include <pthread.h>
#include <sys/wait.h>

static volatile int started;

static void *body(void *unused) {
    started = 1;
    pid_t child = vfork();
    if (child == 0) {
        /* The parent's thread is suspended until this ends. */
        sleep(60);
        _exit(0);
    }
    return unused;
}

int main(int argc, char **argv) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, body, NULL) == 0);
    while (!started) usleep(1000);
    usleep(100000);
    void *block = malloc(32);
    if (!strcmp(argv[1], "free")) free(block);
    lose(&block);
    scrub_stack();
    return 0;
}
