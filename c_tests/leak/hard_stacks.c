// crime: stacks through library callbacks, signal handlers, other stacks and realigned frames
// origin: engine.md B 3 (adversarial tests)
// case: qsort     | qsort     | leak definite 1 blocks 32 bytes frame 0 make_block has-frame compare has-frame main
// case: signal    | signal    | leak definite 1 blocks 32 bytes frame 0 make_block frame 1 handler has-frame main
// case: altstack  | altstack  | leak definite 1 blocks 32 bytes frame 0 make_block frame 1 handler
// case: realigned | realigned | leak definite 1 blocks 32 bytes frame 0 make_block frame 1 realigned frame 2 main
// case: context   | context   | leak definite 1 blocks 32 bytes frame 0 make_block frame 1 context_body
// case: longjmp   | longjmp   | leak definite 1 blocks 32 bytes frame 0 make_block frame 1 after_jump frame 2 main
// case: thread    | thread    | leak definite 1 blocks 32 bytes frame 0 make_block frame 1 thread_body
// case: innocent  | none      | silent
#include "scenario.h"
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <ucontext.h>

static NOINLINE void *make_block(void) { return malloc(32); }

static NOINLINE int compare(const void *left, const void *right) {
    static int done;
    if (!done++) {
        void *block = make_block();
        lose(&block);
    }
    return *(const int *)left - *(const int *)right;
}

static NOINLINE void handler(int number) {
    void *block = make_block();
    lose(&block);
}

typedef char wide __attribute__((vector_size(64)));

static NOINLINE void realigned(void) {
    volatile wide room = {1};
    void *block = make_block();
    CHECK(room[0] == 1 && (uintptr_t)&room % 64 == 0);
    lose(&block);
}

static ucontext_t outer, inner;

static NOINLINE void context_body(void) {
    void *block = make_block();
    lose(&block);
}

static jmp_buf back;

static NOINLINE void jump(int depth) {
    if (depth == 0) longjmp(back, 1);
    jump(depth - 1);
    __asm__ volatile("" : : : "memory");
}

static NOINLINE void after_jump(void) {
    void *block = make_block();
    lose(&block);
}

static NOINLINE void *thread_body(void *unused) {
    void *block = make_block();
    lose(&block);
    return unused;
}

int main(int argc, char **argv) {
    static char stack[64 * 1024], alternate[64 * 1024];
    int numbers[] = {3, 1, 2};
    const char *what = argv[1];
    if (!strcmp(what, "qsort")) qsort(numbers, 3, sizeof *numbers, compare);
    if (!strcmp(what, "signal")) {
        signal(SIGUSR1, handler);
        raise(SIGUSR1);
    }
    if (!strcmp(what, "altstack")) {
        stack_t other = {.ss_sp = alternate, .ss_size = sizeof alternate, .ss_flags = 0};
        struct sigaction action;
        memset(&action, 0, sizeof action);
        action.sa_handler = handler;
        action.sa_flags = SA_ONSTACK;
        CHECK(sigaltstack(&other, NULL) == 0 && sigaction(SIGUSR1, &action, NULL) == 0);
        raise(SIGUSR1);
    }
    if (!strcmp(what, "realigned")) realigned();
    if (!strcmp(what, "context")) {
        CHECK(getcontext(&inner) == 0);
        inner.uc_stack.ss_sp = stack;
        inner.uc_stack.ss_size = sizeof stack;
        inner.uc_link = &outer;
        makecontext(&inner, context_body, 0);
        CHECK(swapcontext(&outer, &inner) == 0);
    }
    if (!strcmp(what, "longjmp")) {
        if (!setjmp(back)) jump(10);
        after_jump();
    }
    if (!strcmp(what, "thread")) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, thread_body, NULL) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
    }
    scrub_stack();
    return 0;
}
