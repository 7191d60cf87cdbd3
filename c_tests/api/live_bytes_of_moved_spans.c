// innocent: blocks above a mebibyte whose pages realloc moves count once, to the byte
// origin: a mutation that nobody caught (docs/mutations.md)
// expect: silent
// baseline: no
// expect: exit 0
#include "scenario.h"

enum { COUNT = 8 };

/* As include/heapwarden.h has it; the rest is of no concern here. */
struct figures { size_t live_bytes, rest[63]; };
extern void heapwarden_statistics(struct figures *) __attribute__((weak));

static char *blocks[COUNT];

static size_t live(void) {
    struct figures figures;
    heapwarden_statistics(&figures);
    return figures.live_bytes;
}

int main(void) {
    size_t size = 3 << 20, larger = 5 << 20, before = live();
    int moved = 0;
    /* Side by side: at most the last has room to grow where it is. */
    for (int i = 0; i < COUNT; i++) CHECK((blocks[i] = opaque(malloc(size))));
    CHECK(live() - before == COUNT * size);
    for (int i = 0; i < COUNT; i++) {
        char *new = opaque(realloc(blocks[i], larger));
        CHECK(new);
        moved += new != blocks[i];
        blocks[i] = new;
        CHECK(live() - before == COUNT * size + (i + 1) * (larger - size));
    }
    CHECK(moved > 0);
    for (int i = 0; i < COUNT; i++) free(blocks[i]);
    CHECK(live() == before);
    return 0;
}
