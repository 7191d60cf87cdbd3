// innocent: posix_spawn, system and popen from a threaded program
// origin: scenarios.md 2 row 10
// expect: silent
#include "scenario.h"
#include <pthread.h>
#include <spawn.h>
#include <sys/wait.h>

extern char **environ;
static volatile int stop;

static void *allocate(void *unused) {
    while (!stop) free(opaque(malloc(500)));
    return unused;
}

int main(void) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, allocate, NULL) == 0);
    for (int i = 0; i < 10; i++) {
        char *arguments[] = {(char *)"true", NULL};
        pid_t child;
        int status;
        CHECK(posix_spawn(&child, "/bin/true", NULL, NULL, arguments, environ) == 0);
        CHECK(waitpid(child, &status, 0) == child && status == 0);
    }
    CHECK(system("exit 3") == 3 << 8);
    FILE *pipe = popen("echo hello", "r");
    char text[10] = "";
    CHECK(pipe && fgets(text, sizeof text, pipe) && strcmp(text, "hello\n") == 0);
    CHECK(pclose(pipe) == 0);
    stop = 1;
    CHECK(pthread_join(thread, NULL) == 0);
    return 0;
}
