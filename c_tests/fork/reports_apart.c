// crime: each process reports for itself, under its own process id, in its own file
// origin: LLVM fork_and_leak, log-path_test, FORK-06
// case: two-children | 2 | child abort double-free size 64; child abort double-free size 64; exit 0
// case: parent-too   | 3 | child abort double-free size 64; child abort double-free size 64; leak definite 1 blocks 32 bytes; exit 23
// case: innocent     | 0 | silent
#include "scenario.h"
#include <sys/wait.h>

int main(int argc, char **argv) {
    int how = atoi(argv[1]);
    for (int i = 0; i < 2; i++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            void *block = opaque(malloc(64));
            free(block);
            if (how) free(block);
            _exit(0);
        }
        int status;
        CHECK(waitpid(child, &status, 0) == child);
        CHECK(how ? WIFSIGNALED(status) : status == 0);
        if (how) {
            char name[64];
            snprintf(name, sizeof name, "report.%d", (int)child);
            CHECK(!strcmp(getenv("C_TEST_LINK"), "none") || access(name, R_OK) == 0);
        }
    }
    if (how == 3) {
        void *block = malloc(32);
        lose(&block);
    }
    scrub_stack();
    return 0;
}
