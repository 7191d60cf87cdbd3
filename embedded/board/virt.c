/* QEMU's riscv32 virt machine: start-up, 16550 UART, minstret, test finisher. */
#include "board.h"

#define UART_DATA (*(volatile uint8_t *)0x10000000)
#define UART_STATE (*(volatile uint8_t *)0x10000005)
#define FINISHER (*(volatile uint32_t *)0x100000)

extern uint32_t board_bss_start[];

void board_putc(void *unused, char c)
{
    (void)unused;
    while (!(UART_STATE & 0x20))
        ;
    UART_DATA = (uint8_t)c;
}

_Noreturn void board_exit(int code)
{
    FINISHER = code ? ((uint32_t)code << 16 | 0x3333) : 0x5555;
    for (;;)
        ;
}

void board_counter_start(void)
{
}

uint32_t board_counter(void)
{
    uint32_t count;

    __asm__ volatile("csrr %0, minstret" : "=r"(count));
    return count;
}

uint32_t board_counter_between(uint32_t from, uint32_t to)
{
    return to - from;
}

__attribute__((used, aligned(4))) static void trap(void)
{
    board_print("fault\n");
    board_exit(99);
}

__attribute__((used)) _Noreturn static void run(void)
{
    uint32_t *to;

    for (to = board_bss_start; to < (uint32_t *)(void *)board_data_end; to++)
        *to = 0;
    board_exit(main());
}

__attribute__((naked, section(".text.start"), used)) void board_reset(void)
{
    __asm__ volatile("la sp, board_stack_top\n"
                     "la t0, trap\n"
                     "csrw mtvec, t0\n"
                     "j run\n");
}
