// innocent: a long random mix of all functions, each block checked byte by byte
// origin: rlsf ShadowAllocator, snmalloc fuzz, isoalloc alloc_fuzz
// case: default      | 1 | silent
// case: other-seed   | 2 | silent
// case: full-poison  | 3 | silent
// options: poison=full
// case: no-poison    | 4 | silent
// options: poison=none
// case: no-quarantine | 5 | silent
// options: quarantine_mb=0
// case: guard-pages  | 6 | silent
// options: guard_sample=10
#include "scenario.h"
#include <malloc.h>

#define SLOTS 500
static unsigned char *slots[SLOTS];
static size_t sizes[SLOTS];
static unsigned long state;

static unsigned long next(void) {
    state = state * 6364136223846793005ul + 1442695040888963407ul;
    return state >> 33;
}

static size_t random_size(void) {
    unsigned long kind = next() % 100;
    if (kind < 70) return next() % 300;
    if (kind < 90) return next() % 5000;
    if (kind < 99) return next() % 60000;
    return next() % 2000000;
}

static void mark(int at) {
    if (sizes[at] == 0) return;
    slots[at][0] = slots[at][sizes[at] / 2] = slots[at][sizes[at] - 1] = (unsigned char)at;
}

static void check(int at, size_t size) {
    if (size == 0) return;
    CHECK(slots[at][0] == (unsigned char)at);
    if (size == sizes[at]) CHECK(slots[at][size / 2] == (unsigned char)at && slots[at][size - 1] == (unsigned char)at);
}

int main(int argc, char **argv) {
    state = (unsigned long)atoi(argv[1]);
    for (int i = 0; i < 60000; i++) {
        int at = (int)(next() % SLOTS);
        size_t size = random_size();
        unsigned long what = next() % 10;
        if (slots[at]) check(at, sizes[at]);
        if (what < 3) {
            slots[at] = realloc(slots[at], size);
            if (size && sizes[at]) CHECK(slots[at][0] == (unsigned char)at);
            if (!slots[at]) size = 0;
        } else {
            free(slots[at]);
            if (what < 6) slots[at] = malloc(size);
            else if (what == 6) slots[at] = calloc(1, size);
            else if (what == 7) slots[at] = memalign((size_t)16 << next() % 9, size);
            else if (what == 8) CHECK(posix_memalign((void **)&slots[at], (size_t)8 << next() % 9, size) == 0);
            else { slots[at] = NULL; size = 0; }
            if (what == 6) for (size_t k = 0; k < size; k += 17) CHECK(slots[at][k] == 0);
        }
        sizes[at] = size;
        mark(at);
    }
    for (int i = 0; i < SLOTS; i++) free(slots[i]);
    return 0;
}
