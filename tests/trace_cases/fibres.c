// case: fibres on stacks that are unmapped and mapped again at other sizes
// expect: incomplete (glibc's first function of a fibre has no unwind information)
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

static ucontext_t home, fibre[4];
static void *stacks[4];
static size_t sizes[4];
__attribute__((noinline)) static void body(int depth, int mine) {
    free(malloc(24));
    if (depth) body(depth - 1, mine);
    swapcontext(&fibre[mine], &home);
    free(malloc(40));
}
static void start(int depth, int mine) { body(depth, mine); }
int main(void) {
    for (int round = 0; round < 200; round++) {
        for (int i = 0; i < 4; i++) {
            sizes[i] = 4096u * (4 + (round * 7 + i * 3) % 13);
            stacks[i] = round % 3 ? mmap(0, sizes[i], PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
                                  : malloc(sizes[i]);
            getcontext(&fibre[i]);
            fibre[i].uc_stack.ss_sp = stacks[i];
            fibre[i].uc_stack.ss_size = sizes[i];
            fibre[i].uc_link = &home;
            makecontext(&fibre[i], (void (*)(void))start, 2, (round + i) % 8, i);
        }
        for (int step = 0; step < 6; step++) {
            for (int i = 0; i < 4; i++) {
                if (step <= (round + i) % 8) swapcontext(&home, &fibre[i]);
                free(malloc(16));
            }
        }
        for (int i = 0; i < 4; i++) {
            if (round % 3) munmap(stacks[i], sizes[i]); else free(stacks[i]);
        }
    }
}
