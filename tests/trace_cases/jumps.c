// case: longjmp across frames that allocated, and callbacks from libc
// expect: complete
#include <setjmp.h>
#include <stdlib.h>

static jmp_buf back;
__attribute__((noinline)) static void deep(int depth, int jump) {
    free(malloc(8 + depth));
    if (depth) deep(depth - 1, jump);
    else if (jump) longjmp(back, 1);
    free(malloc(8));
}
static int compare(const void *a, const void *b) {
    free(malloc(32));
    return *(const int *)a - *(const int *)b;
}
int main(void) {
    for (volatile int round = 0; round < 500; round++) {
        if (!setjmp(back)) deep(round % 17, round & 1);
        int numbers[64];
        for (int i = 0; i < 64; i++) numbers[i] = rand();
        if (round % 20 == 0) qsort(numbers, 64, sizeof *numbers, compare);
        free(malloc(64));
    }
}
