#include <stdio.h>
#include <stdlib.h>

static long sum_of_squares(const int *number, int count) {
    long sum = 0;
    for (int i = 0; i < count; i++)
        sum += (long)number[i] * number[i];
    return sum;
}

int main(void) {
    int *number = malloc(100 * sizeof *number);
    for (int i = 0; i < 100; i++)
        number[i] = i;
    printf("%ld\n", sum_of_squares(number, 100));
    free(number);
    return 4;
}
