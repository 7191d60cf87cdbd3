// crime: whatever instruction follows a pointer read from freed memory, the fault is explained
// origin: issue 3 (4)
// each: size 64 frame 0 follow allocated 0 make_block freed 0 release
// case: field       | field    | error heap-use-after-free; signal SIGSEGV
// case: far-field   | far      | error heap-use-after-free; signal SIGSEGV
// case: indexed     | indexed  | error heap-use-after-free; signal SIGSEGV
// case: write       | write    | error heap-use-after-free; signal SIGSEGV
// case: packed      | packed   | error heap-use-after-free; signal SIGSEGV
// case: call        | call     | error heap-use-after-free; signal SIGSEGV
// case: thread      | thread   | error heap-use-after-free; signal SIGSEGV
// case: on-alternate-stack | alternate | error heap-use-after-free; signal SIGSEGV
// case: innocent    | none     | silent
#include "scenario.h"
#include <pthread.h>
#include <signal.h>

struct far_away { char bytes[2000]; long field; };
struct holder {
    long *pointer;
    void (*function)(void);
    struct far_away *other;
    struct { char odd[3]; long *pointer; } __attribute__((packed)) packed;
};

static NOINLINE void *make_block(size_t size) { return malloc(size); }
static NOINLINE void release(void *block) { free(block); }
static void nothing(void) {}

static NOINLINE void follow(volatile struct holder *holder, const char *how) {
    if (!strcmp(how, "field") || !strcmp(how, "thread") || !strcmp(how, "alternate"))
        opaque_size((size_t)((volatile long *)holder->pointer)[1]);
    if (!strcmp(how, "far")) opaque_size((size_t)((volatile struct far_away *)holder->other)->field);
    if (!strcmp(how, "indexed"))
        opaque_size((size_t)((volatile long *)holder->pointer)[opaque_size(7)]);
    if (!strcmp(how, "write")) *(volatile long *)holder->pointer = 1;
    if (!strcmp(how, "packed")) opaque_size((size_t)*(volatile long *)holder->packed.pointer);
    if (!strcmp(how, "call")) {
        holder->function();
        __asm__ volatile("");
    }
}

static const char *how;

static void *act(void *unused) {
    static struct far_away target;
    struct holder *holder = opaque(make_block(64));
    holder->pointer = &target.field;
    holder->function = nothing;
    holder->other = &target;
    holder->packed.pointer = &target.field;
    release(holder);
    follow(opaque(holder), how);
    return unused;
}

int main(int argc, char **argv) {
    how = argv[1];
    if (!strcmp(how, "alternate")) {
        static char stack[1 << 14];
        stack_t alternate = {stack, 0, sizeof stack};
        CHECK(sigaltstack(&alternate, NULL) == 0);
    }
    if (strcmp(how, "thread")) return act(NULL) != NULL;
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, act, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    return 0;
}
