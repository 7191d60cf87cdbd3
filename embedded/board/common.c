/* What every board needs: printing, and the four functions that a compiler may
 * call on its own (C11 5.1.2.1; GCC manual, "Standards"). */
#include "board.h"

void board_print(const char *text)
{
    while (*text)
        board_putc(NULL, *text++);
}

void board_print_number(uint32_t number)
{
    char digits[10];
    int count = 0;

    do {
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    while (count)
        board_putc(NULL, digits[--count]);
}

void *memset(void *target, int byte, size_t size)
{
    volatile unsigned char *to = target;

    while (size--)
        *to++ = (unsigned char)byte;
    return target;
}

void *memcpy(void *restrict target, const void *restrict source, size_t size)
{
    volatile unsigned char *to = target;
    const unsigned char *from = source;

    while (size--)
        *to++ = *from++;
    return target;
}

void *memmove(void *target, const void *source, size_t size)
{
    volatile unsigned char *to = target;
    const unsigned char *from = source;

    if (to <= from)
        return memcpy(target, source, size);
    while (size--)
        to[size] = from[size];
    return target;
}

int memcmp(const void *left, const void *right, size_t size)
{
    const unsigned char *a = left, *b = right;

    for (; size--; a++, b++)
        if (*a != *b)
            return *a - *b;
    return 0;
}
