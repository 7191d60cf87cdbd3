// crime: who reports after a fork: a child that did not exec reports no leak unless asked; its errors it does report
// origin: LLVM fork_and_leak, FORK-06
// note: a program that exec()s is a program of its own and reports for itself
// case: child-loses       | child-loses   | silent
// case: parent-loses      | parent-loses  | leak definite 1 blocks 32 bytes frame 0 make_block
// case: lost-before-fork  | lost-before   | leak definite 1 blocks 32 bytes frame 0 make_block
// case: child-execs       | exec          | child leak definite 1 blocks 64 bytes frame 0 make_other; exit 0
// case: innocent          | nothing       | silent
#include "scenario.h"
#include <sys/wait.h>

static NOINLINE void *make_block(void) { return malloc(32); }
static NOINLINE void *make_other(void) { return malloc(64); }

static NOINLINE void lose_one(void *(*make)(void)) {
    void *block = make();
    lose(&block);
}

int main(int argc, char **argv) {
    const char *what = argv[1];
    if (!strcmp(what, "after-exec")) {
        lose_one(make_other);
        scrub_stack();
        return 0;
    }
    if (!strcmp(what, "lost-before")) lose_one(make_block);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        if (!strcmp(what, "child-loses")) lose_one(make_block);
        if (!strcmp(what, "exec")) execl("/proc/self/exe", argv[0], "after-exec", (char *)NULL);
        exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    int expected = !strcmp(what, "exec") ? 23 : 0;
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == expected);
    if (!strcmp(what, "parent-loses")) lose_one(make_block);
    scrub_stack();
    return 0;
}
