// innocent: fork and clone by raw system calls, past every atfork handler, in a program with one thread
// origin: Go and Rust runtimes, scenarios.md 2 row 7
// expect: silent
#include "scenario.h"
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static long raw_fork(void) {
#ifdef SYS_fork
    return syscall(SYS_fork);
#else
    return syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
#endif
}

int main(void) {
    void *given = opaque(malloc(100));
    for (int i = 0; i < 20; i++) {
        long child = i % 2 ? raw_fork() : syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
        CHECK(child >= 0);
        if (child == 0) {
            free(given);
            free(opaque(realloc(opaque(malloc(50)), 60000)));
            _exit(0);
        }
        int status;
        CHECK(waitpid((pid_t)child, &status, 0) == child && status == 0);
    }
    free(given);
    return 0;
}
