// crime: of a site's blocks many are freed, late, and yet there are more at each check: the growth over the checks is the evidence
// origin: issue 4 (growth slope over snapshots), Cork (POPL 2007)
// link: preload
// timeout: 60
// note: each program runs for 2.4 seconds by the clock; four checks at its start and the one at exit make five snapshots
// options: hidden_leaks=1:exitcode=0
// baseline: no
// case: drained  | drained checked  | hidden-leak frame 0 leak_here at evidence.snapshots 5 at-least evidence.growth_bytes_per_s 10000 at-least evidence.freed_share 0.2; any summary
// case: told     | drained checked  | exit 0; stderr "(seen by 5 checks)"
// report: off
// case: replaced | replaced checked | silent; any summary
// case: steady   | steady checked   | silent; any summary
// case: table    | table checked    | silent; any summary
// case: drained-unseen  | drained  | silent
// case: replaced-unseen | replaced | hidden-leak frame 0 innocent lacks evidence.snapshots
#include "clock.h"

extern int heapwarden_check_leaks(void) __attribute__((weak));

enum { LIFE_MS = 2400, OLD_MS = 300, SLOTS = 40000 };

static void *slots[SLOTS];
static unsigned random_state = 12345;

static unsigned next_random(void) { return (random_state = random_state * 1103515245u + 12345u) >> 8; }
static NOINLINE void *leak_here(void) { return opaque(malloc(48)); }
static NOINLINE void *innocent(void) { return opaque(malloc(48)); }

/* Five blocks a millisecond; of each five three are freed when they are OLD_MS old. */
static void drain(long age, int steady) {
    static long made, freed;
    for (; made < 5 * age && made < SLOTS; made++) slots[made] = steady ? innocent() : leak_here();
    for (; freed < made && freed < 5 * (age - OLD_MS); freed++)
        if (steady || freed % 5 < 3) { free(slots[freed]); slots[freed] = NULL; }
}

/* A table that is filled at once; then each millisecond 20 of its blocks, whichever, make room
   for new ones of the same call stack. */
static void replace(long age) {
    static long replaced;
    for (; replaced < SLOTS + 20 * age; replaced++) {
        void **slot = &slots[replaced < SLOTS ? replaced : next_random() % SLOTS];
        free(*slot);
        *slot = innocent();
    }
}

int main(int argc, char **argv) {
    const char *what = argv[1];
    int checks = argc > 2 ? 4 : 0;
    if (!strcmp(what, "table"))
        for (int i = 0; i < SLOTS; i++) slots[i] = innocent();
    long begun = now_ms(), due = 20;
    for (;; wait_ms(2)) {
        long real_age = now_ms() - begun, age = real_age / slowness();
        if (!strcmp(what, "drained")) drain(age, 0);
        if (!strcmp(what, "steady")) drain(age, 1);
        if (!strcmp(what, "replaced")) replace(age);
        if (real_age >= due && checks > 0) {
            /* At this age nobody is judged yet. */
            if (real_age > 160) longest_wait_ms = LIFE_MS * slowness();
            begin_anew_if_kept_from_running(argv, LIFE_MS / 16);
            CHECK(heapwarden_check_leaks && heapwarden_check_leaks() == 0);
            checks--;
            due = now_ms() - begun + 20;
        }
        /* Also after a long wait for the processor it has grown up to now. */
        if (age >= LIFE_MS) break;
    }
    begin_anew_if_kept_from_running(argv, LIFE_MS / 16);
    return 0;
}
