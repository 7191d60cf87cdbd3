// innocent: fork, getline and fflush(NULL) while signals fork too
// origin: glibc tst-mallocfork3, FORK-03
// expect: silent
#include "scenario.h"
#include <pthread.h>
#include <sys/wait.h>

static volatile int stop;

static void *read_lines(void *unused) {
    while (!stop) {
        FILE *file = fopen("/proc/self/status", "r");
        char *line = NULL;
        size_t room = 0;
        if (!file) continue;
        while (getline(&line, &room, file) > 0) continue;
        free(line);
        fclose(file);
    }
    return unused;
}

static void *flush_all(void *unused) {
    while (!stop) fflush(NULL);
    return unused;
}

int main(void) {
    pthread_t reader, flusher;
    CHECK(pthread_create(&reader, NULL, read_lines, NULL) == 0);
    CHECK(pthread_create(&flusher, NULL, flush_all, NULL) == 0);
    for (int i = 0; i < 100; i++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            free(opaque(malloc(1000)));
            _exit(0);
        }
        int status;
        CHECK(waitpid(child, &status, 0) == child && status == 0);
    }
    stop = 1;
    pthread_join(reader, NULL);
    pthread_join(flusher, NULL);
    return 0;
}
