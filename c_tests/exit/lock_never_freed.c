// innocent: a child of a raw fork ends while a lock of the heap is held by a thread that is not in it: no hang, and code 24 if there was no check
// origin: Go's and Rust's runtimes fork by system call; a wait for the heap's locks without a deadline
// report: off
// timeout: 120
// baseline: no
// expect: exit 0
// expect: stdout "all ended"
#include "scenario.h"
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static void *hammer(void *unused) {
    for (;;) {
        void *blocks[16];
        for (int i = 0; i < 16; i++) blocks[i] = opaque(malloc((size_t)300000 + (size_t)i * 70000));
        for (int i = 0; i < 16; i++) free(blocks[i]);
    }
    return unused;
}

int main(int argc, char **argv) {
    pthread_t thread;
    int codes[3] = {0, 0, 0};
    void *kept = opaque(malloc(10));
    for (int i = 0; i < 3; i++) CHECK(pthread_create(&thread, NULL, hammer, NULL) == 0);
    for (int i = 0; i < 10; i++) {
        usleep(3000);
        long process = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
        CHECK(process >= 0);
        if (process == 0) exit(0);
        int status;
        CHECK(waitpid((pid_t)process, &status, 0) == process && WIFEXITED(status));
        int code = WEXITSTATUS(status);
        /* What the other threads held at that moment may look lost in a copy without them. */
        CHECK(code == 0 || code == 23 || code == 24);
        codes[code == 0 ? 0 : code - 22]++;
    }
    printf("all ended: %d clean, %d with findings, %d without a check\n", codes[0], codes[1], codes[2]);
    fflush(stdout);
    free(kept);
    _exit(0);
}
