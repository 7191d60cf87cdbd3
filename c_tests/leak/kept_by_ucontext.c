// innocent: the only pointer lies on the stack of a suspended context
// origin: LLVM swapcontext, engine.md C 3 (suspended ucontext stack)
// case: heap-stack   | heap   | silent
// case: global-stack | global | silent
#include "scenario.h"
#include <ucontext.h>

static ucontext_t outer;
static ucontext_t inner;
static char global_stack[64 * 1024];
static char *stack;

static NOINLINE void suspend(void **slot) {
    swapcontext(&inner, &outer);
    __asm__ volatile("" : : "r"(slot) : "memory");
}

static void body(void) {
    void *block = malloc(1337);
    suspend(&block);
}

int main(int argc, char **argv) {
    stack = strcmp(argv[1], "heap") ? global_stack : malloc(64 * 1024);
    CHECK(getcontext(&inner) == 0);
    inner.uc_stack.ss_sp = stack;
    inner.uc_stack.ss_size = 64 * 1024;
    inner.uc_link = &outer;
    makecontext(&inner, body, 0);
    CHECK(swapcontext(&outer, &inner) == 0);
    scrub_stack();
    return 0;
}
