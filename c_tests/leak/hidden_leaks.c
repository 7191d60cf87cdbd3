// crime: reachable memory that nobody needs any more: lists that only grow, maps never read, queues nobody drains
// origin: issue 4 (hidden leaks), Cork (POPL 2007), SafeMem (HPCA 2005)
// note: each program allocates for about a second; which site is suspected depends on when its survivors were born
// note: what looks at times must not be judged by a busy machine's: who was kept from running for a sixteenth of
// note: that second begins anew, four times as slowly (twice at most)
// timeout: 60
// options: hidden_leaks=1:exitcode=0
// baseline: no
// case: list       | list     | hidden-leak frame 0 leak_here
// case: map        | map      | hidden-leak frame 0 leak_here
// case: queue      | queue    | hidden-leak frame 0 leak_here
// case: log        | log      | hidden-leak frame 0 leak_here
// case: late       | late     | hidden-leak frame 0 leak_here
// case: sessions   | sessions | hidden-leak frame 0 leak_here
// case: growing    | growing  | hidden-leak frame 0 leak_here
// case: threads    | threads  | hidden-leak frame 0 leak_here
// case: one-in-200 | rare     | hidden-leak frame 0 leak_here
// case: table      | table    | silent
// case: cache      | cache    | silent
// case: lru        | lru      | silent
// case: pool       | pool     | silent
// case: churn      | churn    | silent
// case: ring       | ring     | silent
// case: batches    | batches  | silent
// case: few        | few      | silent
// case: some-stay  | stay     | silent
#include "scenario.h"
#include <pthread.h>
#include <time.h>

enum { STEPS = 200, EACH = 50, SLOTS = 4096 };

struct node { struct node *next; long key; char bytes[40]; };
static struct node *volatile head;
static struct node *slots[SLOTS];
static unsigned random_state = 12345;

static unsigned next_random(void) { return (random_state = random_state * 1103515245u + 12345u) >> 8; }
static long step_ms = 5;
static volatile int was_kept_from_running;

static long now_ms(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static void step(void) {
    static __thread long last;
    struct timespec time = {0, step_ms * 1000000};
    nanosleep(&time, NULL);
    long now = now_ms();
    if (last && now - last > STEPS * step_ms / 16) was_kept_from_running = 1;
    last = now;
}

/* Every case is a matter of when blocks are born: evenly, or not. */
static void begin_anew_if_kept_from_running(char **argv) {
    if (!was_kept_from_running || step_ms >= 80) return;
    char text[8];
    snprintf(text, sizeof text, "%ld", step_ms * 4);
    setenv("C_TEST_STEP_MS", text, 1);
    execv("/proc/self/exe", argv);
}

static NOINLINE struct node *leak_here(void) { return calloc(1, sizeof(struct node)); }
static NOINLINE struct node *innocent(void) { return calloc(1, sizeof(struct node)); }

static void push(struct node *node) { node->next = head; head = node; }
static void put(struct node *(*make)(void), unsigned slot) {
    free(slots[slot % SLOTS]);
    slots[slot % SLOTS] = make();
}

static void *worker(void *unused) {
    for (int i = 0; i < STEPS; i++) {
        struct node *mine = leak_here();
        mine->next = unused;
        for (struct node *old = head;;) {
            mine->next = old;
            if (__atomic_compare_exchange_n((struct node **)&head, &old, mine, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) break;
        }
        step();
    }
    return NULL;
}

int main(int argc, char **argv) {
    const char *what = argv[1];
    if (getenv("C_TEST_STEP_MS")) step_ms = atol(getenv("C_TEST_STEP_MS"));
    if (!strcmp(what, "threads")) {
        pthread_t threads[4];
        for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, worker, NULL);
        for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
        begin_anew_if_kept_from_running(argv);
        return 0;
    }
    for (int i = 0; i < STEPS; i++, step(), begin_anew_if_kept_from_running(argv))
        for (int j = 0; j < EACH; j++) {
            unsigned at = (unsigned)(i * EACH + j);
            if (!strcmp(what, "list") || !strcmp(what, "log")) push(leak_here());
            if (!strcmp(what, "map")) { struct node *node = leak_here(); node->next = slots[next_random() % SLOTS]; slots[next_random() % SLOTS] = node; push(node); }
            if (!strcmp(what, "queue")) { push(leak_here()); if (j % 5 == 0 && head->next) { struct node *gone = head->next; head->next = gone->next; (void)gone; push(gone); } }
            if (!strcmp(what, "late") && i >= STEPS / 4) push(leak_here());
            if (!strcmp(what, "sessions")) { struct node *session = leak_here(); if (j % 10 == 0) free(session); else push(session); }
            if (!strcmp(what, "growing") && j < i / 4 + 5) push(leak_here());
            if (!strcmp(what, "table")) { if (i < 10) push(innocent()); else (void)head->key; }
            if (!strcmp(what, "cache")) { if (i < STEPS / 3) put(innocent, at); else if (slots[at % SLOTS]) slots[at % SLOTS]->key++; }
            if (!strcmp(what, "lru")) put(innocent, at % 1000);
            if (!strcmp(what, "pool")) { unsigned slot = next_random() % 500; if (!slots[slot]) slots[slot] = innocent(); slots[slot]->key++; }
            if (!strcmp(what, "churn")) { struct node *node = innocent(); node->key = at; free(node); }
            if (!strcmp(what, "ring")) put(innocent, at % 128);
            if (!strcmp(what, "batches")) { if (j == 0) while (head) { struct node *next = head->next; free(head); head = next; } push(innocent()); }
            /* 199 of 200 die at once; the last stays for ever, or for a while. */
            for (int k = 0; !strcmp(what, "rare") && k < 40; k++) {
                struct node *node = leak_here();
                if (j % 5 == 0 && k == 7) push(node); else free(node);
            }
            for (int k = 0; !strcmp(what, "stay") && k < 40; k++) {
                struct node *node = innocent();
                struct node **slot = &slots[next_random() % 300];
                if (j % 5 == 0 && k == 7) { free(*slot); *slot = node; } else free(node);
            }
            if (!strcmp(what, "few") && at % 400 == 0) push(innocent());
        }
    return 0;
}
