/* No board at all: a static x86_64 Linux program without libc, for machines
 * that have no cross compiler. Any use of libc shows as a link error. */
#include "board.h"

/* A stack of our own, outside of .data and .bss, like a device's. */
__asm__(".section .arena.stack,\"aw\",@nobits\n"
        ".balign 16\n"
        ".space 262144\n"
        ".globl board_stack_top\n"
        "board_stack_top:\n"
        ".text\n"
        ".globl _start\n"
        "_start: lea board_stack_top(%rip), %rsp\n"
        "call board_start\n");

static long system_call(long number, long first, const void *second, long third)
{
    long result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(first), "S"(second), "d"(third)
                     : "rcx", "r11", "memory");
    return result;
}

void board_putc(void *unused, char c)
{
    (void)unused;
    system_call(1, 1, &c, 1);
}

_Noreturn void board_exit(int code)
{
    for (;;)
        system_call(231, code, NULL, 0);
}

void board_counter_start(void)
{
}

uint32_t board_counter(void)
{
    return 0;
}

uint32_t board_counter_between(uint32_t from, uint32_t to)
{
    return to - from;
}

__attribute__((used)) _Noreturn void board_start(void)
{
    board_exit(main());
}
