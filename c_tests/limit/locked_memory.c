// innocent: mlockall does not make the reservation resident
// origin: tcmalloc system_allocator_mlockall_test, engine.md A pitfalls
// expect: exit 0
// expect: any exhaustion
#include "scenario.h"
#include <sys/mman.h>

static long resident_kib(void) {
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file && fscanf(file, "%*d %ld", &pages) == 1);
    fclose(file);
    return pages * 4;
}

int main(void) {
    /* Where locking is not allowed there is nothing to see. */
    if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0) return 0;
    for (int i = 0; i < 2000; i++) free(opaque(malloc((size_t)i * 20)));
    CHECK(resident_kib() < 256 * 1024);
    return 0;
}
