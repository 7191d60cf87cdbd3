// case: a handler on a signal stack; the stack goes on to the interrupted code
// expect: complete
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>

__attribute__((noinline)) static void handler_work(int depth) {
    if (depth) handler_work(depth - 1);
    void *volatile block = malloc(40);
    free(block);
}
static void handler(int number) {
    (void)number;
    handler_work(4);
}
__attribute__((noinline)) static void interrupted(int depth) {
    if (depth) interrupted(depth - 1); else raise(SIGUSR1);
    free(malloc(16));
}
int main(void) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
    sigaction(SIGUSR1, &action, 0);
    for (int round = 0; round < 300; round++) {
        size_t size = 16384 + 4096 * (round % 5);
        stack_t stack = {.ss_size = size};
        stack.ss_sp = mmap(0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        sigaltstack(&stack, 0);
        interrupted(round % 7);
        stack_t off = {.ss_flags = SS_DISABLE};
        sigaltstack(&off, 0);
        munmap(stack.ss_sp, size);
    }
}
