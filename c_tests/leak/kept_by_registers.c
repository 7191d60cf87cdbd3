// innocent: the only pointer lies in a register of a running thread, or in its red zone
// origin: LLVM use_registers, use_registers_extra, engine.md C 3 (spinning register, red zone)
// case: rbx      | 0 | silent
// case: r12      | 1 | silent
// case: r15      | 2 | silent
// case: r11      | 3 | silent
// case: red-zone | 4 | silent
// case: xmm7     | 5 | silent
// case: r8       | 6 | silent
// case: rax      | 7 | silent
#include "scenario.h"
#include <pthread.h>

static pthread_barrier_t ready;
static volatile int which;

static NOINLINE void spin(uintptr_t hidden) {
    switch (which) {
    case 0: __asm__ volatile("not %0\n mov %0, %%rbx\n xor %0, %0\n 1: pause\n jmp 1b" : "+r"(hidden) : : "rbx", "memory"); break;
    case 1: __asm__ volatile("not %0\n mov %0, %%r12\n xor %0, %0\n 1: pause\n jmp 1b" : "+r"(hidden) : : "r12", "memory"); break;
    case 2: __asm__ volatile("not %0\n mov %0, %%r15\n xor %0, %0\n 1: pause\n jmp 1b" : "+r"(hidden) : : "r15", "memory"); break;
    case 3: __asm__ volatile("not %0\n mov %0, %%r11\n xor %0, %0\n 1: pause\n jmp 1b" : "+r"(hidden) : : "r11", "memory"); break;
    case 5: __asm__ volatile("not %0\n movq %0, %%xmm7\n xor %0, %0\n 1: pause\n jmp 1b" : "+r"(hidden) : : "xmm7", "memory"); break;
    case 6: __asm__ volatile("not %0\n mov %0, %%r8\n xor %0, %0\n 1: pause\n jmp 1b" : "+r"(hidden) : : "r8", "memory"); break;
    case 7: __asm__ volatile("not %0\n mov %0, %%rax\n xor %0, %0\n 1: pause\n jmp 1b" : "+r"(hidden) : : "rax", "memory"); break;
    case 4: __asm__ volatile("not %0\n mov %0, -104(%%rsp)\n xor %0, %0\n 1: pause\n jmp 1b" : "+r"(hidden) : : "memory"); break;
    }
}

static NOINLINE uintptr_t make_hidden(void) {
    void *block = malloc(1337);
    uintptr_t hidden = hide(block);
    lose(&block);
    return hidden;
}

static void *live_thread(void *unused) {
    uintptr_t hidden = make_hidden();
    pthread_barrier_wait(&ready);
    scrub_stack();
    spin(hidden);
    return unused;
}

int main(int argc, char **argv) {
    pthread_t thread;
    which = atoi(argv[1]);
    CHECK(pthread_barrier_init(&ready, NULL, 2) == 0);
    CHECK(pthread_create(&thread, NULL, live_thread, NULL) == 0);
    pthread_barrier_wait(&ready);
    usleep(100000);
    scrub_stack();
    return 0;
}
