// The allocator hook of Lua: realloc for everything. Objects of 24 to 64 bytes
// come from realloc(NULL, n), tables double, collections free many at once.
#include "loop.h"

enum { TABLES = 2000, OBJECTS = 30 };

static void *hook(void *block, size_t new_size) {
    if (new_size == 0) {
        free(block);
        return NULL;
    }
    return must(realloc(block, new_size));
}

int main(int argc, char **argv) {
    size_t n = allocations_wanted(argc, argv);
    random_t random = random_from(9);
    static size_t *table[TABLES];
    static void *object[TABLES][OBJECTS];
    for (size_t made = 0; made < n;) {
        size_t at = random_between(&random, 0, TABLES - 1);
        hook(table[at], 0);
        table[at] = NULL;
        for (size_t i = 0; i < OBJECTS; i++, made++) {
            hook(object[at][i], 0);
            object[at][i] = hook(NULL, random_between(&random, 24, 64));
            *(size_t *)object[at][i] = i;
        }
        size_t most = (size_t)4 << random_between(&random, 0, 6);
        for (size_t slots = 4; slots <= most; slots *= 2, made++) {
            table[at] = hook(table[at], slots * sizeof(size_t));
            expect(slots == 4 || table[at][slots / 2 - 1] == slots / 2);
            table[at][slots - 1] = slots;
        }
    }
    for (size_t at = 0; at < TABLES; at++) {
        hook(table[at], 0);
        for (size_t i = 0; i < OBJECTS; i++)
            hook(object[at][i], 0);
    }
    return 0;
}
