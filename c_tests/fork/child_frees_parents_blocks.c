// innocent: a child frees and resizes every sort of block its parent made, also those of other threads
// origin: snmalloc protect_fork, jemalloc fork, FORK-04
// expect: silent
#include "scenario.h"
#include <pthread.h>
#include <sys/wait.h>

#define COUNT 400
static char *blocks[COUNT];

static size_t size_of(int i) {
    static const size_t sizes[] = {1, 16, 100, 1000, 5000, 30000, 70000, 300000};
    return sizes[i % 8];
}

static void *fill(void *start) {
    for (int i = (int)(uintptr_t)start; i < COUNT; i += 2) {
        blocks[i] = malloc(size_of(i));
        memset(opaque(blocks[i]), i & 127, size_of(i));
    }
    return NULL;
}

static void drain(void) {
    for (int i = 0; i < COUNT; i++) {
        CHECK(blocks[i][0] == (char)(i & 127) && blocks[i][size_of(i) - 1] == (char)(i & 127));
        if (i % 3 == 0) {
            blocks[i] = realloc(blocks[i], size_of(i) + 33);
            CHECK(blocks[i][size_of(i) - 1] == (char)(i & 127));
        }
        free(blocks[i]);
    }
}

int main(void) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, fill, (void *)1) == 0);
    fill((void *)0);
    CHECK(pthread_join(thread, NULL) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        drain();
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    drain();
    return 0;
}
