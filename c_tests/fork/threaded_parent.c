// innocent: fork while other threads allocate; each child allocates and frees the parent's blocks
// origin: glibc tst-mallocfork, jemalloc fork, FORK-01
// case: 300-forks | 300 4 | silent
#include "scenario.h"
#include <pthread.h>
#include <sys/wait.h>

static volatile int stop;

static void *allocate(void *seed) {
    unsigned state = (unsigned)(uintptr_t)seed;
    void *slots[64] = {NULL};
    while (!stop) {
        state = state * 1103515245u + 12345u;
        unsigned at = (state >> 16) % 64;
        free(slots[at]);
        slots[at] = opaque(malloc((state >> 8) % 5000));
    }
    for (int i = 0; i < 64; i++) free(slots[i]);
    return NULL;
}

int main(int argc, char **argv) {
    pthread_t threads[8];
    int count = atoi(argv[2]);
    for (int i = 0; i < count; i++)
        CHECK(pthread_create(&threads[i], NULL, allocate, (void *)(uintptr_t)(i + 1)) == 0);
    for (int i = 0; i < atoi(argv[1]); i++) {
        char *given = opaque(malloc(300));
        char *large = opaque(malloc(80000));
        strcpy(given, "from the parent");
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            CHECK(strcmp(given, "from the parent") == 0);
            for (int k = 0; k < 50; k++) free(opaque(malloc((size_t)k * 97)));
            free(given);
            free(large);
            char *fresh = opaque(realloc(opaque(calloc(1, 100)), 9000));
            CHECK(fresh[50] == 0);
            free(fresh);
            _exit(0);
        }
        int status;
        CHECK(waitpid(child, &status, 0) == child);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        free(given);
        free(large);
    }
    stop = 1;
    for (int i = 0; i < count; i++) pthread_join(threads[i], NULL);
    return 0;
}
