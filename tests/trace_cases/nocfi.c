// case: code without unwind information, with all kinds of rbp
// expect: incomplete
#include <stdlib.h>

void caller(void (*function)(int), int depth, long fp);
// caller(function, depth, fp): sets rbp to fp and calls; tells nobody how.
__asm__(".pushsection .text\n"
        ".globl caller\n"
        "caller:\n"
        "  push %rbp\n"
        "  sub $16, %rsp\n"
        "  mov %rdx, %rbp\n"
        "  mov %rdi, %rax\n"
        "  mov %esi, %edi\n"
        "  call *%rax\n"
        "  add $16, %rsp\n"
        "  pop %rbp\n"
        "  ret\n"
        ".popsection\n");

__attribute__((noinline)) static void leaf(int depth) {
    free(malloc(16 + depth));
    if (depth) leaf(depth - 1);
    free(malloc(16));
}
__attribute__((noinline, optimize("no-omit-frame-pointer"))) static void framed(int depth) {
    volatile char room[depth + 1];
    room[0] = 0;
    leaf(depth);
}
int main(void) {
    long here = (long)__builtin_frame_address(0);
    long values[] = {0, 1, -1, -8, -16, -24, 8, 0x7fffffffffff, (long)0x8000000000000000, here, here + 1,
                     here - 4096, here + 0x100000000, 0x123456789abc};
    for (int round = 0; round < 40; round++) {
        for (unsigned i = 0; i < sizeof values / sizeof *values; i++) {
            caller(leaf, round % 5, values[i]);
            caller(framed, round % 5, values[i]);
        }
        leaf(round % 9);
    }
}
