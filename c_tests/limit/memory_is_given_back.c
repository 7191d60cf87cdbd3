// innocent: after everything is freed the resident size falls again
// origin: glibc tst-trim1, issue 2 (empty memory given back to the OS), mimalloc
// case: small | 100 2000000  | silent
// case: medium | 5000 40000  | silent
// case: large | 200000 1000  | silent
#include "scenario.h"
#include <malloc.h>

static long resident_kib(void) {
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file && fscanf(file, "%*d %ld", &pages) == 1);
    fclose(file);
    return pages * 4;
}

int main(int argc, char **argv) {
    size_t size = size_argument(argv[1]);
    size_t count = size_argument(argv[2]);
    void *list = NULL;
    long before = resident_kib();
    for (size_t i = 0; i < count; i++) {
        void **block = malloc(size);
        memset(opaque(block), 1, size);
        *block = list;
        list = block;
    }
    long high = resident_kib();
    while (list) {
        void *next = *(void **)list;
        free(list);
        list = next;
    }
    malloc_trim(0);
    long after = resident_kib();
    printf("before %ld, high %ld, after %ld KiB\n", before, high, after);
    CHECK(high > before + (long)(size * count / 1024));
    /* The quarantine and the ledger may keep some: a quarter at most. */
    CHECK(after - before < (high - before) / 4);
    return 0;
}
