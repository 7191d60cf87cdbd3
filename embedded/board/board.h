/* What the firmware in this folder needs of a board: a console, an exit, a
 * counter of instructions, and the memory map. No libc. */
#ifndef BOARD_H
#define BOARD_H

#include <stddef.h>
#include <stdint.h>

/* One character to the UART. The unused argument makes it a heapwarden putc. */
void board_putc(void *unused, char c);
void board_print(const char *text);
void board_print_number(uint32_t number);

/* Ends the emulation with this exit code. */
_Noreturn void board_exit(int code);

/* Instructions executed, from any starting point, wrapping at 2^24 / 1.6 on
 * Cortex-M: meaningful only under qemu's -icount shift=6. */
void board_counter_start(void);
uint32_t board_counter(void);
/* Instructions between two readings. */
uint32_t board_counter_between(uint32_t from, uint32_t to);

/* From the linker script. */
extern char board_data_start[], board_data_end[]; /* .data and .bss */
extern char board_stack_top[];

void *memset(void *target, int byte, size_t size);

int main(void);

#endif
