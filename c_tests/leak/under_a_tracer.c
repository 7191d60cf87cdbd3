// crime: the program is traced already, as under strace or gdb: the check works all the same
// origin: engine.md C 1 (strace -f, gdb), LLVM 150380
// note: the tracer is our own parent process; it passes every signal on
// case: traced   | lose | child leak definite 1 blocks 32 bytes frame 0 make_block; exit 23
// case: innocent | free | silent
#include "scenario.h"
#include <signal.h>
#include <pthread.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

static NOINLINE void *make_block(void) { return malloc(32); }

static void *wait_forever(void *unused) {
    for (;;) pause();
    return unused;
}

int main(int argc, char **argv) {
    if (getenv("C_TEST_TRACED")) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, wait_forever, NULL) == 0);
        void *block = make_block();
        if (!strcmp(argv[1], "free")) free(block);
        lose(&block);
        scrub_stack();
        return 0;
    }
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0);
        setenv("C_TEST_TRACED", "1", 1);
        execv("/proc/self/exe", argv);
        _exit(FAILED);
    }
    int status;
    int first = 1;
    for (;;) {
        pid_t stopped = waitpid(-1, &status, __WALL);
        CHECK(stopped > 0);
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            if (stopped == child) break;
            continue;
        }
        int number = WSTOPSIG(status);
        if (first) ptrace(PTRACE_SETOPTIONS, child, NULL, PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK);
        first = 0;
        /* A stop of the tracer's own making carries no signal to pass on. */
        int pass = number == SIGTRAP || number == SIGSTOP ? 0 : number;
        ptrace(PTRACE_CONT, stopped, NULL, pass);
    }
    CHECK(WIFEXITED(status));
    return WEXITSTATUS(status);
}
