// innocent: a thread sits in a signal handler on its alternate stack; blocks in both stacks are held
// origin: engine.md C 3 (altstack frame and the stack under it)
// expect: silent
#include "scenario.h"
#include <pthread.h>
#include <signal.h>

static pthread_barrier_t ready;
static char *alternate;

static NOINLINE void wait_forever(void **slot) {
    pthread_barrier_wait(&ready);
    for (;;) __asm__ volatile("pause" : : "r"(slot) : "memory");
}

static void handler(int number) {
    void *in_handler = malloc(77);
    wait_forever(&in_handler);
}

static NOINLINE void raise_with(void **slot) {
    raise(SIGUSR1);
    __asm__ volatile("" : : "r"(slot) : "memory");
}

static void *live_thread(void *unused) {
    stack_t stack = {.ss_sp = alternate, .ss_size = 64 * 1024, .ss_flags = 0};
    CHECK(sigaltstack(&stack, NULL) == 0);
    void *in_frame = malloc(1337);
    raise_with(&in_frame);
    return unused;
}

int main(void) {
    pthread_t thread;
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    action.sa_flags = SA_ONSTACK;
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    alternate = malloc(64 * 1024);
    CHECK(pthread_barrier_init(&ready, NULL, 2) == 0);
    CHECK(pthread_create(&thread, NULL, live_thread, NULL) == 0);
    pthread_barrier_wait(&ready);
    scrub_stack();
    return 0;
}
