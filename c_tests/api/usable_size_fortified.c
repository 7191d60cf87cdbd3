// innocent: a program compiled with _FORTIFY_SOURCE=3 writes all usable bytes
// origin: systemd 22801, redis 11982, scenarios.md 2 row 24, API-07
// flags: -O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fbuiltin
// expect: silent
#include "scenario.h"
#include <malloc.h>

int main(int argc, char **argv) {
    for (size_t size = (size_t)argc; size < 5000; size += 37) {
        char *block = malloc(size);
        size_t usable = malloc_usable_size(opaque(block));
        memset(opaque(block), 'x', usable);
        block = realloc(block, size * 2);
        memset(block, 'y', size * 2);
        CHECK(block[size] == 'y');
        free(block);
    }
    return 0;
}
