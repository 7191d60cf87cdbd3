// innocent: the library preloaded into a program that has it inside already: one of them serves, nothing breaks
// origin: scenarios.md 2 row 17
// link: static
// report: off
// env: LD_PRELOAD={lib}
// case: innocent | 1 | exit 0
#include "scenario.h"
#include <pthread.h>
#include <sys/wait.h>

static void *body(void *unused) {
    for (int i = 0; i < 300; i++) free(opaque(realloc(opaque(malloc((size_t)i)), 3000)));
    free(opaque(strdup("from libc")));
    return unused;
}

int main(int argc, char **argv) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, body, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        body(NULL);
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    return 0;
}
