/* A program that goes on for ever and has lost a block of 1337 bytes, unless the
 * second argument is "keep". The first says what its main thread does:
 *   wait     sleeps in epoll_wait
 *   join     sleeps in pthread_join; two threads allocate all the time
 *   work     allocates all the time
 *   mask     sleeps with all signals blocked
 *   handler  has a handler of its own for every real-time signal
 *   reset    has put every signal back to its default
 *   fork     sleeps in a forked child, whose number it prints
 *   single   may make no thread and no process (seccomp: EAGAIN)
 * It prints "ready PID" when it is there, and dies after a minute. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline, noclone))

void *kept;
static volatile sig_atomic_t strangers;

NOINLINE static void *make_block(void) { return malloc(1337); }

NOINLINE static void scrub(void) {
    volatile char dead[64 * 1024];
    memset((void *)dead, 0, sizeof dead);
}

NOINLINE static void lose(int keeps) {
    void *volatile block = make_block();
    kept = keeps ? block : NULL;
    block = NULL;
}

static void *allocate(void *argument) {
    void *volatile ring[64] = {0};
    for (unsigned i = 0;; i++) {
        free(ring[i % 64]);
        ring[i % 64] = malloc(16 + i % 500);
    }
    return argument;
}

static void on_stranger(int signal) {
    (void)signal;
    strangers++;
}

static void sandbox(void) {
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAGAIN),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "wait";
    int is = 0;
    lose(argc > 2 && !strcmp(argv[2], "keep"));
    scrub();
    alarm(60);
    pthread_t threads[2];
    if (!strcmp(what, "join"))
        for (int i = 0; i < 2; i++) pthread_create(&threads[i], NULL, allocate, NULL);
    if (!strcmp(what, "mask")) {
        sigset_t all;
        sigfillset(&all);
        sigdelset(&all, SIGALRM);
        sigprocmask(SIG_SETMASK, &all, NULL);
    }
    if (!strcmp(what, "handler"))
        for (int number = SIGRTMIN; number <= SIGRTMAX - 3; number++) {
            struct sigaction old, action = {.sa_handler = on_stranger};
            if (sigaction(number, &action, &old) || old.sa_handler != SIG_DFL) return 90;
        }
    if (!strcmp(what, "reset"))
        for (int number = 1; number <= SIGRTMAX; number++)
            if (number != SIGALRM && signal(number, SIG_DFL) == SIG_ERR) is++;
    if (!strcmp(what, "fork") && fork()) {
        for (;;) pause();
    }
    if (!strcmp(what, "single")) sandbox();
    printf("ready %d\n", (int)getpid());
    fflush(stdout);
    if (!strcmp(what, "join")) pthread_join(threads[0], NULL);
    if (!strcmp(what, "work")) allocate(NULL);
    int epoll = epoll_create1(0);
    struct epoll_event event;
    for (;;) {
        epoll_wait(epoll, &event, 1, -1);
        if (strangers) return 91;
    }
}
