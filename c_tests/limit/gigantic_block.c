// innocent: untouched gigabytes cost no memory, and sparse use of them works
// origin: hardened_malloc offset, large_array_growth, scenarios.md 2 row 29
// case: sparse-4G | 4096 | any exhaustion; exit 0
// options: heap_limit_mb=0
#include "scenario.h"

static long resident_kib(void) {
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file && fscanf(file, "%*d %ld", &pages) == 1);
    fclose(file);
    return pages * 4;
}

int main(int argc, char **argv) {
    size_t size = (size_t)atoi(argv[1]) << 20;
    long before = resident_kib();
    char *block = calloc(1, size);
    CHECK(block != NULL);
    for (size_t at = 0; at < size; at += size / 16) {
        CHECK(block[at] == 0);
        block[at] = 1;
    }
    CHECK(block[size - 1] == 0);
    CHECK(resident_kib() < before + 64 * 1024);
    free(opaque(block));
    CHECK(resident_kib() < before + 64 * 1024);
    return 0;
}
