// crime: a loop allocates thousands of blocks from one place and frees all but a few: the record says which
// origin: issue 4 (ordinals within a site); Purify's and BoundsChecker's "allocation number", but within the call stack
// options: ordinals=1
// case: each-in-turn | turn         | leak definite 3 blocks 120 bytes frame 0 make_block at site.allocations 4000 at site.ordinals.0 17 at site.ordinals.1 402 at site.ordinals.2 1033 lacks site.ordinals.3
// case: all-then-all | batch        | leak definite 3 blocks 120 bytes frame 0 make_block at site.allocations 4000 at site.ordinals.0 17 at site.ordinals.1 402 at site.ordinals.2 1033 lacks site.ordinals.3
// case: many         | many         | leak definite 400 blocks 16000 bytes at site.allocations 4000 at site.ordinals.0 10 at site.ordinals.7 80 lacks site.ordinals.8
// case: zeroed       | calloc       | leak definite 3 blocks 120 bytes at site.allocations 4000 at site.ordinals.0 17 at site.ordinals.2 1033
// case: aligned      | aligned      | leak definite 3 blocks 384 bytes at site.allocations 4000 at site.ordinals.0 17 at site.ordinals.2 1033
// case: medium       | medium       | leak definite 3 blocks 15000 bytes at site.allocations 4000 at site.ordinals.0 17 at site.ordinals.2 1033
// case: spans        | spans        | leak definite 3 blocks 600000 bytes at site.allocations 4000 at site.ordinals.0 17 at site.ordinals.2 1033
// case: moved        | moved        | leak definite 3 blocks 600 bytes frame 0 regrow at site.allocations 4000 at site.ordinals.0 17 at site.ordinals.2 1033
// case: kept-in-slot | in-place     | leak definite 3 blocks 117 bytes frame 0 regrow at site.allocations 4000 at site.ordinals.0 17 at site.ordinals.2 1033
// case: from-null    | null         | leak definite 3 blocks 600 bytes frame 0 regrow at site.allocations 4000 at site.ordinals.0 17 at site.ordinals.2 1033
// case: interior     | interior     | leak possible 3 blocks 120 bytes at site.allocations 4000 at site.ordinals.0 17 at site.ordinals.2 1033
// case: two-places   | two          | leak definite 3 blocks 120 bytes frame 0 make_block at site.allocations 4000 at site.ordinals.0 17 at site.ordinals.2 1033
// case: reachable    | reachable    | leak reachable 3 blocks 120 bytes frame 0 make_block at site.allocations 4000 at site.ordinals.0 17 at site.ordinals.2 1033; any leak reachable
// options: ordinals=1:show_leak_kinds=all:exitcode=0
// case: threads      | threads      | leak definite 4 blocks 160 bytes frame 0 make_block at site.allocations 4000 at site.ordinals.0 17 at site.ordinals.1 1017 at site.ordinals.3 3017
// case: at-once      | at-once      | leak definite 4 blocks 160 bytes frame 0 make_block at site.allocations 4001 lacks site.ordinals.4
// case: fork         | fork         | leak definite 3 blocks 120 bytes frame 0 make_block at site.allocations 4000 at site.ordinals.0 17; child leak definite 3 blocks 120 bytes frame 0 make_block at site.allocations 8000 at site.ordinals.0 4017 at site.ordinals.2 5033
// options: ordinals=1:check_children=1
// case: guarded      | turn         | leak definite 3 blocks 120 bytes at site.allocations 4000 at site.ordinals.0 17 at site.ordinals.2 1033
// options: ordinals=1:guard_sample=1
// case: unpoisoned   | turn         | leak definite 3 blocks 120 bytes at site.allocations 4000 at site.ordinals.0 17 at site.ordinals.2 1033
// options: ordinals=1:poison=none:quarantine_mb=0:stack_depth=0
// case: refused      | refused      | leak definite 3 blocks 120 bytes frame 0 make_block at site.allocations 3600 at site.ordinals.0 16; any exhaustion; any notice
// options: ordinals=1:fail_every=10
// case: in-words     | turn         | exit 23; stderr "3 of 4,000 blocks from here were never freed: #17, #402, #1,033."
// options: ordinals=1
// report: off
// case: off          | turn         | leak definite 3 blocks 120 bytes frame 0 make_block lacks site
// options: ordinals=0
// case: innocent         | turn free    | silent
// case: innocent-batch   | batch free   | silent
// case: innocent-spans   | spans free   | silent
// case: innocent-moved   | moved free   | silent
// case: innocent-threads | threads free | silent
#include "scenario.h"
#include <pthread.h>
#include <sys/wait.h>

enum { MANY = 4000 };

static int frees_all;
static void *volatile kept[MANY];

static int is_lost(int number) { return number == 17 || number == 402 || number == 1033; }

static NOINLINE void *make_block(void) { return opaque(malloc(40)); }
static NOINLINE void *make_elsewhere(void) { return opaque(malloc(40)); }
static NOINLINE void *make_zeroed(void) { return opaque(calloc(5, 8)); }
static NOINLINE void *make_aligned(void) { return opaque(aligned_alloc(128, 128)); }
static NOINLINE void *make_medium(void) { return opaque(malloc(5000)); }
static NOINLINE void *make_span(void) { return opaque(malloc(200000)); }
static NOINLINE void *regrow(void *block, size_t size) { return opaque(realloc(block, size)); }
static NOINLINE void *make_moved(void) { return regrow(make_elsewhere(), 200); }
static NOINLINE void *make_in_place(void) { return regrow(make_elsewhere(), 39); }
static NOINLINE void *make_from_null(void) { return regrow(NULL, 200); }
static NOINLINE void *make_beside_another(void) { free(make_elsewhere()); free(make_elsewhere()); return make_block(); }

/* Each block is freed before the next is made, so slots are used again. */
static NOINLINE void in_turn(void *(*make)(void), int count, int every) {
    for (int i = 1; i <= count; i++) {
        void *block = make();
        CHECK(block != NULL);
        if (frees_all || !(every ? i % every == 0 : is_lost(i))) free(block);
    }
    scrub_stack();
}

static NOINLINE void in_batch(int offset) {
    for (int i = 1; i <= MANY; i++) kept[i - 1] = (char *)make_block() + offset;
    for (int i = 1; i <= MANY; i++)
        if (frees_all || !is_lost(i)) {
            free((char *)kept[i - 1] - offset);
            kept[i - 1] = NULL;
        } else if (offset == 0) {
            kept[i - 1] = NULL;
        }
    scrub_stack();
}

static NOINLINE void reachable(void) {
    for (int i = 1; i <= MANY; i++) {
        kept[i - 1] = make_block();
        if (!is_lost(i)) { free(kept[i - 1]); kept[i - 1] = NULL; }
    }
}

/* One allocation in ten fails on purpose: it has no number. */
static NOINLINE void with_refusals(void) {
    for (int i = 1, lost = 0; i <= MANY; i++) {
        void *block = make_block();
        if (block == NULL) continue;
        if (i % 18 == 17 && lost < 3) lost++; else free(block);
    }
    scrub_stack();
}

static void *worker(void *count) {
    for (int i = 1; i <= (int)(intptr_t)count; i++) {
        void *block = make_block();
        if (frees_all || i != 17) free(block);
    }
    scrub_stack();
    return NULL;
}

static void start(pthread_t *thread, int count) { CHECK(pthread_create(thread, NULL, worker, (void *)(intptr_t)count) == 0); }

int main(int argc, char **argv) {
    const char *what = argv[1];
    frees_all = argc > 2;
    if (!strcmp(what, "turn")) in_turn(make_block, MANY, 0);
    if (!strcmp(what, "many")) in_turn(make_block, MANY, 10);
    if (!strcmp(what, "calloc")) in_turn(make_zeroed, MANY, 0);
    if (!strcmp(what, "aligned")) in_turn(make_aligned, MANY, 0);
    if (!strcmp(what, "medium")) in_turn(make_medium, MANY, 0);
    if (!strcmp(what, "spans")) in_turn(make_span, MANY, 0);
    if (!strcmp(what, "moved")) in_turn(make_moved, MANY, 0);
    if (!strcmp(what, "in-place")) in_turn(make_in_place, MANY, 0);
    if (!strcmp(what, "null")) in_turn(make_from_null, MANY, 0);
    if (!strcmp(what, "two")) in_turn(make_beside_another, MANY, 0);
    if (!strcmp(what, "batch")) in_batch(0);
    if (!strcmp(what, "interior")) in_batch(8);
    if (!strcmp(what, "reachable")) reachable();
    if (!strcmp(what, "refused")) with_refusals();
    pthread_t threads[4];
    for (int i = 0; i < 4 && !strcmp(what, "threads"); i++) {
        start(&threads[i], MANY / 4);
        pthread_join(threads[i], NULL);
    }
    if (!strcmp(what, "at-once")) {
        /* The first makes the call stack known: two that meet a new one at once may number it twice. */
        start(&threads[0], 1);
        pthread_join(threads[0], NULL);
        for (int i = 0; i < 4; i++) start(&threads[i], MANY / 4);
        for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    }
    /* One call, so one call stack, for the parent and the child that goes on counting. */
    for (size_t round = 0; round < 2 && !strcmp(what, "fork"); round = opaque_size(round + 1)) {
        if (round == 1) {
            pid_t child = fork();
            if (child > 0) { waitpid(child, NULL, 0); break; }
        }
        in_turn(make_block, MANY, 0);
    }
    return 0;
}
