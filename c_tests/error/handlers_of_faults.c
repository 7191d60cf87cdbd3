// crime: the program has its own handler of faults: ours is explained first, everything else is as without us
// origin: issue 3 (4), tcmalloc NonGwpAsanSegv, POSIX sigaction
// note: the innocent cases hold on the plain libc too
// case: ours-dies    | ours     | error heap-use-after-free size 64; signal SIGSEGV
// case: ours-goes-on | ours     | error heap-use-after-free size 64; any summary; stdout "handled"; exit 7
// options: halt_on_error=0
// case: not-asked    | ours     | no-report; stdout "handled"; exit 7
// options: handle_segv=0
// case: innocent-query   | query   | silent
// case: innocent-signal  | signal  | silent
// case: innocent-once    | once    | any warning; signal SIGSEGV; stdout "once"
// case: innocent-stack   | stack   | no-report; stdout "handled"; exit 7
// case: innocent-sent    | sent    | silent; stdout "handled"
// case: innocent-ignored | ignored | silent
// case: innocent-default | default | any warning; signal SIGSEGV
// case: innocent-killed  | killed  | any warning; signal SIGSEGV
// case: innocent-mask    | mask    | silent; stdout "handled"
#include "scenario.h"
#include <setjmp.h>
#include <signal.h>

static sigjmp_buf back;
static volatile int may_return;

static void say(const char *text) { CHECK(write(1, text, strlen(text)) > 0); }

static void plain(int number) {
    CHECK(number == SIGSEGV);
    say("handled\n");
    if (!may_return) _exit(7);
}
static void detailed(int number, siginfo_t *info, void *context) {
    CHECK(info->si_signo == number && context);
    sigset_t mask;
    sigprocmask(SIG_BLOCK, NULL, &mask);
    CHECK(sigismember(&mask, SIGSEGV) && sigismember(&mask, SIGUSR1) && !sigismember(&mask, SIGUSR2));
    say("handled\n");
    siglongjmp(back, 1);
}
static void once(int number) { say("once\n"); }

static struct sigaction set(void (*handler)(int), int flags) {
    struct sigaction new, old;
    memset(&new, 0, sizeof new);
    new.sa_handler = handler;
    new.sa_flags = flags;
    CHECK(sigaction(SIGSEGV, &new, &old) == 0);
    return old;
}

static NOINLINE void fault(void) { *(volatile int *)opaque((void *)16) = 1; }
static NOINLINE int overflow_stack(volatile char *above) {
    volatile char frame[4096];
    frame[0] = above ? above[0] : 1;
    return overflow_stack(frame) + frame[0];
}

int main(int argc, char **argv) {
    const char *what = argv[1];
    struct sigaction old;
    free(opaque(malloc(100)));
    if (!strcmp(what, "ours")) {
        long **block = opaque(malloc(64));
        set(plain, 0);
        free(block);
        opaque_size((size_t)*(volatile long *)block[1]);
    }
    if (!strcmp(what, "query")) {
        CHECK(sigaction(SIGSEGV, NULL, &old) == 0 && old.sa_handler == SIG_DFL && old.sa_flags == 0);
        old = set(plain, SA_NODEFER);
        CHECK(old.sa_handler == SIG_DFL);
        CHECK(sigaction(SIGSEGV, NULL, &old) == 0 && old.sa_handler == plain);
        CHECK(!(old.sa_flags & SA_SIGINFO) && (old.sa_flags & SA_NODEFER));
        old = set(SIG_IGN, 0);
        CHECK(old.sa_handler == plain);
        old = set(SIG_DFL, 0);
        CHECK(old.sa_handler == SIG_IGN);
        CHECK(sigaction(SIGSEGV, NULL, &old) == 0 && old.sa_handler == SIG_DFL);
    }
    if (!strcmp(what, "signal")) {
        CHECK(signal(SIGSEGV, plain) == SIG_DFL);
        CHECK(signal(SIGSEGV, SIG_DFL) == plain);
        CHECK(signal(SIGBUS, plain) == SIG_DFL);
        CHECK(signal(SIGUSR1, plain) == SIG_DFL && signal(SIGUSR1, SIG_DFL) == plain);
        CHECK(signal(100, plain) == SIG_ERR);
    }
    if (!strcmp(what, "once")) {
        set(once, (int)SA_RESETHAND);
        fault();
    }
    if (!strcmp(what, "stack")) {
        static char stack[1 << 16];
        stack_t alternate = {stack, 0, sizeof stack};
        CHECK(sigaltstack(&alternate, NULL) == 0);
        set(plain, SA_ONSTACK);
        overflow_stack(NULL);
    }
    if (!strcmp(what, "sent")) {
        may_return = 1;
        set(plain, 0);
        raise(SIGSEGV);
    }
    if (!strcmp(what, "ignored")) {
        set(SIG_IGN, 0);
        raise(SIGSEGV);
    }
    if (!strcmp(what, "default")) {
        set(plain, 0);
        set(SIG_DFL, 0);
        fault();
    }
    if (!strcmp(what, "killed")) kill(getpid(), SIGSEGV);
    if (!strcmp(what, "mask")) {
        struct sigaction new;
        memset(&new, 0, sizeof new);
        new.sa_sigaction = detailed;
        new.sa_flags = SA_SIGINFO;
        sigaddset(&new.sa_mask, SIGUSR1);
        CHECK(sigaction(SIGSEGV, &new, NULL) == 0);
        if (!sigsetjmp(back, 1)) fault();
        if (!sigsetjmp(back, 1)) fault();
    }
    return 0;
}
