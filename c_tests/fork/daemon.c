// innocent: a program turns itself into a daemon (double fork, setsid, closed descriptors) and exits 0
// origin: bytehound fork, spawn-child
// expect: silent
#include "scenario.h"
#include <fcntl.h>
#include <sys/wait.h>

int main(void) {
    int ends[2];
    void *block = opaque(malloc(100));
    CHECK(pipe(ends) == 0);
    pid_t first = fork();
    CHECK(first >= 0);
    if (first == 0) {
        setsid();
        if (fork() != 0) _exit(0);
        close(0);
        close(1);
        close(2);
        block = opaque(realloc(block, 20000));
        free(block);
        char answer = 'y';
        CHECK(write(ends[1], &answer, 1) == 1);
        exit(0);
    }
    close(ends[1]);
    char answer = 'n';
    CHECK(waitpid(first, NULL, 0) == first);
    CHECK(read(ends[0], &answer, 1) == 1 && answer == 'y');
    free(block);
    return 0;
}
