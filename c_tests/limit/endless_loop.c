// crime: an endless loop of malloc(1000000) under a limit: told early and at the limit, with the call site
// origin: issue 2, scenarios.md 2 row 27, OOM-01
// case: heap-limit | 64 | exhaustion requested 1000000 has-frame grow; any exhaustion; exit 0
// options: heap_limit_mb=64
// case: no-warning | 64 | exhaustion requested 1000000 frame 0 grow @here; exit 0
// options: heap_limit_mb=64:warn_at_percent=0
// case: after-probes | 65 | exhaustion requested 300000000 has-frame probe; exhaustion requested 1000000 has-frame grow; any warning; exit 0
// options: heap_limit_mb=64:warn_at_percent=0
// case: innocent-probe | -1 | warning allocation-size-too-big has-frame probe; exit 0
// options: heap_limit_mb=64
// case: innocent   | 0  | silent
// options: heap_limit_mb=64
#include "scenario.h"

static void *held[2000];

static NOINLINE void *grow(void) {
    return malloc(1000000); /* @here */
}

/* What asks how far it may go says nothing about the heap, and must not
   silence the report of the shortage that follows at once. */
static NOINLINE void probe(size_t size) {
    CHECK(malloc(opaque_size(size)) == NULL);
    CHECK(errno == ENOMEM);
}

int main(int argc, char **argv) {
    int limit = atoi(argv[1]);
    int count = 0;
    if (limit == -1 || limit == 65) probe((size_t)1 << 62);
    if (limit == -1) return 0;
    if (limit == 65) probe(300000000), limit = 64;
    while (limit && count < 2000) {
        errno = 0;
        held[count] = grow();
        if (!held[count]) break;
        count++;
    }
    if (limit) {
        CHECK(errno == ENOMEM);
        CHECK(count >= limit * 8 / 10 && count <= limit * 1048576 / 1000000);
        free(held[0]);
        held[0] = grow();
        CHECK(held[0] != NULL);
    }
    return 0;
}
