// innocent: a process without threads forks; in the child another thread than the first flushes all streams and ends it
// origin: glibc makes its lock of streams new in a child only if the parent had threads (fork.c); we take it before fork
// timeout: 20
// case: flush | flush | silent
// case: exit  | exit  | silent
#include "scenario.h"
#include <pthread.h>
#include <sys/wait.h>

static void *flushes(void *unused) {
    fflush(NULL);
    return unused;
}

static void *exits(void *unused) {
    exit(0);
    return unused;
}

int main(int argc, char **argv) {
    free(opaque(malloc(10)));
    pid_t process = fork();
    CHECK(process >= 0);
    if (process == 0) {
        pthread_t thread;
        int is_exit = !strcmp(argv[1], "exit");
        CHECK(pthread_create(&thread, NULL, is_exit ? exits : flushes, NULL) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
        return 0;
    }
    int status;
    CHECK(waitpid(process, &status, 0) == process);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return 0;
}
