/* Holds argv[1] MiB and checks for leaks while it goes on. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern int heapwarden_check_leaks(void);
void *blocks[4096];

int main(int argc, char **argv) {
    int count = argc > 1 ? atoi(argv[1]) : 1;
    for (int i = 0; i < count; i++) {
        blocks[i] = malloc(1 << 20);
        if (!blocks[i]) return 3;
        memset(blocks[i], 1, 1 << 20);
    }
    return heapwarden_check_leaks();
}
