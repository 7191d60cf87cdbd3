// innocent: forks of forks, each allocating, freeing and starting threads
// origin: LLVM fork_threaded, snmalloc protect_fork
// expect: silent
#include "scenario.h"
#include <pthread.h>
#include <sys/wait.h>

static void *work(void *unused) {
    for (int i = 0; i < 200; i++) free(opaque(malloc((size_t)i * 31)));
    return unused;
}

static void generation(int depth) {
    pthread_t thread;
    void *block = opaque(malloc(1000));
    CHECK(pthread_create(&thread, NULL, work, NULL) == 0);
    work(NULL);
    if (depth > 0) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            generation(depth - 1);
            free(block);
            _exit(0);
        }
        int status;
        CHECK(waitpid(child, &status, 0) == child && status == 0);
    }
    CHECK(pthread_join(thread, NULL) == 0);
    free(block);
}

int main(void) {
    generation(8);
    return 0;
}
