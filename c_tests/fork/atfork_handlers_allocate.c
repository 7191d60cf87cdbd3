// innocent: the program's own atfork handlers allocate and free in all three phases
// origin: scenarios.md 2 row 7, FORK-05
// expect: silent
#include "scenario.h"
#include <pthread.h>
#include <sys/wait.h>

static void *carried;
static int phases;

static void prepare(void) { free(opaque(malloc(100))); carried = malloc(2000); phases |= 1; }
static void parent(void) { free(carried); carried = NULL; free(opaque(malloc(3000))); phases |= 2; }
static void child_side(void) { free(carried); carried = NULL; free(opaque(malloc(40000))); phases |= 4; }

__attribute__((constructor)) static void early(void) { CHECK(pthread_atfork(prepare, parent, child_side) == 0); }

static void *in_thread(void *unused) {
    for (int i = 0; i < 50; i++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) _exit(phases & 4 ? 0 : 1);
        int status;
        CHECK(waitpid(child, &status, 0) == child && status == 0);
    }
    return unused;
}

int main(void) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, in_thread, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(phases & 3);
    return 0;
}
