/* Arm MPS2 (AN385: Cortex-M3, AN386: Cortex-M4), as QEMU's mps2-an385 and
 * mps2-an386 model it: start-up, CMSDK UART, SysTick, semihosting exit. */
#include "board.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define UART_DATA REGISTER(0x40004000)
#define UART_STATE REGISTER(0x40004004) /* bit 0: transmit buffer full */
#define UART_CONTROL REGISTER(0x40004008)
#define UART_BAUD REGISTER(0x40004010)
#define SYSTICK_CONTROL REGISTER(0xE000E010)
#define SYSTICK_RELOAD REGISTER(0xE000E014)
#define SYSTICK_VALUE REGISTER(0xE000E018)
#define COPROCESSOR_ACCESS REGISTER(0xE000ED88)

extern uint32_t board_data_load[], board_data_copied_end[], board_bss_start[];

void board_putc(void *unused, char c)
{
    (void)unused;
    while (UART_STATE & 1)
        ;
    UART_DATA = (uint32_t)(unsigned char)c;
}

_Noreturn void board_exit(int code)
{
    /* SYS_EXIT_EXTENDED, ADP_Stopped_ApplicationExit (Arm semihosting 2.0). */
    uint32_t block[2] = {0x20026, (uint32_t)code};
    register uint32_t operation __asm__("r0") = 0x20;
    register uint32_t *argument __asm__("r1") = block;

    __asm__ volatile("bkpt 0xAB" : : "r"(operation), "r"(argument) : "memory");
    for (;;)
        ;
}

void board_counter_start(void)
{
    SYSTICK_RELOAD = 0xFFFFFF;
    SYSTICK_VALUE = 0;
    SYSTICK_CONTROL = 5;
}

uint32_t board_counter(void)
{
    return SYSTICK_VALUE;
}

/* SysTick counts down at 25 MHz; with icount shift=6 an instruction is 64 ns,
 * 1.6 ticks. */
uint32_t board_counter_between(uint32_t from, uint32_t to)
{
    return ((from - to) & 0xFFFFFF) * 5 / 8;
}

static _Noreturn void fault(void)
{
    board_print("fault\n");
    board_exit(99);
}

_Noreturn void board_reset(void)
{
    uint32_t *from = board_data_load;
    uint32_t *to = (uint32_t *)(void *)board_data_start;

    while (to < board_data_copied_end)
        *to++ = *from++;
    for (to = board_bss_start; to < (uint32_t *)(void *)board_data_end; to++)
        *to = 0;
    COPROCESSOR_ACCESS |= 0xF00000; /* the FPU, where there is one */
    UART_BAUD = 16;
    UART_CONTROL = 1;
    board_exit(main());
}

__attribute__((section(".vectors"), used)) static void (*const vectors[16])(void) = {
    (void (*)(void))board_stack_top, board_reset, fault, fault, fault, fault, fault, fault, fault,
    fault, fault, fault, fault, fault, fault, fault,
};
