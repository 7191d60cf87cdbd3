// crime: parent and child, each with its own copy of the heap
// origin: LLVM double_free_fork
// case: freed-before-fork   | before    | child abort double-free size 48 frame 0 free_again freed 0 free_once; exit 0
// case: freed-in-both       | both      | silent
// case: twice-in-the-child  | child     | child abort double-free size 48 frame 0 free_again; exit 0
#include "scenario.h"
#include <signal.h>
#include <sys/wait.h>

static NOINLINE void free_once(void *block) { free(block); }
static NOINLINE void free_again(void *block) { free(block); }

int main(int argc, char **argv) {
    void *block = opaque(malloc(48));
    int abort_expected = strcmp(argv[1], "both") != 0;
    if (strcmp(argv[1], "before") == 0) free_once(block);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        if (strcmp(argv[1], "before") != 0) free_once(block);
        if (abort_expected) free_again(block);
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    if (abort_expected) CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    else CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    if (strcmp(argv[1], "before") != 0) free_once(block);
    return 0;
}
