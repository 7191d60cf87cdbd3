/* Every crime raises its event, once, and nothing else; its innocent twin
 * raises none; and the heap goes on working. */
#include "expect.h"
#include "heapwarden.h"

#ifndef WINDOW
#define WINDOW 32
#endif

#define POISON_BYTE 0xF5

/* Guard without owner: no call sites, and a free block's links lie where its
 * payload was, before the poison. */
#ifdef NO_OWNER
#define HAS_OWNER 0
#define FIRST_POISON (2 * sizeof(void *))
#else
#define HAS_OWNER 1
#define FIRST_POISON 0
#endif

static uint64_t arena[8192] __attribute__((section(".arena.memory")));
static uint64_t bank[512] __attribute__((section(".arena.bank")));
static heapwarden_arena_t *heap;
static heapwarden_arena_event_t events[8];
static heapwarden_arena_block_t culprit; /* the last event's block */
static int count;
static int locked;
static void *ransom; /* freed by the handler when the arena is exhausted */
static int insists;  /* the handler answers RETRY and gives nothing back */

static heapwarden_arena_answer_t on_event(void *context, const heapwarden_arena_event_t *event)
{
    expect(context == arena && !locked);
    if (count < 8)
        events[count++] = *event;
    culprit = (heapwarden_arena_block_t){0};
    heapwarden_arena_block_of(heap, (const void *)event->block, &culprit);
    if (event->kind == HEAPWARDEN_ARENA_VIOLATION_EXHAUSTED && ransom) {
        void *given = ransom;

        ransom = NULL;
        heapwarden_arena_free(heap, given);
        return HEAPWARDEN_ARENA_ANSWER_RETRY;
    }
    if (event->kind == HEAPWARDEN_ARENA_VIOLATION_EXHAUSTED && insists)
        return HEAPWARDEN_ARENA_ANSWER_RETRY;
    return HEAPWARDEN_ARENA_ANSWER_CONTINUE;
}

static void lock(void *context)
{
    (void)context;
    expect(!locked);
    locked = 1;
}

static void unlock(void *context)
{
    (void)context;
    expect(locked);
    locked = 0;
}

static void fresh(void)
{
    heapwarden_arena_config_t config = {
        .on_event = on_event,
        .lock = lock,
        .unlock = unlock,
        .context = arena,
        .poison_window = WINDOW,
        .secret = 0x1234567,
    };

    heap = heapwarden_arena_init(arena, sizeof arena, &config);
    count = 0;
    ransom = NULL;
}

/* One event of this kind, then a sound heap that can be used. */
static void expect_one(int line, heapwarden_arena_violation_t kind)
{
    if (count != 1 || events[0].kind != kind) {
        expect_at(line, "one event of the kind", 0);
        for (int i = 0; i < count; i++) {
            board_print("  kind ");
            board_print_number(events[i].kind);
            board_print("\n");
        }
    }
    count = 0;
    expect_at(line, "sound afterwards", heapwarden_arena_check(heap) == 0);
    void *pointer = heapwarden_arena_malloc(heap, 40);
    expect_at(line, "works afterwards", pointer != NULL);
    heapwarden_arena_free(heap, pointer);
    expect_at(line, "silent afterwards", count == 0);
    count = 0;
}

#define expect_event(kind) expect_one(__LINE__, HEAPWARDEN_ARENA_VIOLATION_##kind)

static int same(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}

static uint32_t expected_line;

/* The call site's line, 0 if it is no record of this file's function. */
static uint32_t line_of(uintptr_t site, const char *function)
{
    const heapwarden_arena_site_t *record = (const void *)site;

    if (!HAS_OWNER)
        return expected_line;
    if (!site || (site & 1) || !same(record->function, function))
        return 0;
    return record->line;
}

static void double_free(void)
{
    fresh();
    char *a = heapwarden_arena_malloc(heap, 24), *b = heapwarden_arena_malloc(heap, 24);
    heapwarden_arena_free(heap, a);
    heapwarden_arena_free(heap, a);
    expect(events[0].address == (uintptr_t)a);
    expect_event(DOUBLE_FREE);
    heapwarden_arena_free(heap, b); /* joins a */
    heapwarden_arena_free(heap, b);
    expect_event(DOUBLE_FREE);
    heapwarden_arena_free(heap, a);
    expect_event(DOUBLE_FREE);
    /* Twin: freed and had again. */
    char *c = heapwarden_arena_malloc(heap, 24);
    heapwarden_arena_free(heap, c);
    c = heapwarden_arena_malloc(heap, 24);
    heapwarden_arena_free(heap, c);
    heapwarden_arena_free(heap, NULL);
    expect(count == 0);
}

static void invalid_free(void)
{
    int on_stack[4];

    fresh();
    char *a = heapwarden_arena_malloc(heap, 100);
    for (int i = 0; i < 100; i++)
        a[i] = 0;
    heapwarden_arena_free(heap, a + 2 * sizeof(void *));
    expect(events[0].block == (uintptr_t)a && culprit.size == 100);
    expect_event(INVALID_FREE);
    heapwarden_arena_free(heap, a + 4 * sizeof(void *));
    expect_event(INVALID_FREE);
    heapwarden_arena_free(heap, a + 3);
    expect_event(INVALID_FREE);
    heapwarden_arena_free(heap, on_stack);
    expect_event(INVALID_FREE);
    heapwarden_arena_free(heap, &heap);
    expect_event(INVALID_FREE);
    heapwarden_arena_free(heap, (void *)-8);
    expect_event(INVALID_FREE);
    expect(heapwarden_arena_realloc(heap, a + 8, 10) == NULL);
    expect_event(INVALID_FREE);
    heapwarden_arena_free(heap, a);
    expect(count == 0);
}

static void overflow(void)
{
    for (uint32_t size = 0; size < 40; size++) {
        fresh();
        uint32_t line = __LINE__ + 1;
        volatile char *a = heapwarden_arena_malloc(heap, size);
        volatile char *b = heapwarden_arena_malloc(heap, 8);
        for (uint32_t i = 0; i < size; i++)
            a[i] = (char)i; /* twin: all of its own bytes */
        expect(heapwarden_arena_check(heap) == 0);
        a[size] = 0; /* the string's end that did not fit */
        expect(heapwarden_arena_check(heap) == 1);
        expect(culprit.address == (uintptr_t)a && culprit.size == size);
        expected_line = line;
        expect(line_of(culprit.site, "overflow") == line);
        expect(events[0].address == (uintptr_t)(a + size));
        expect_event(OVERFLOW);
        a[size] = 0;
        uint32_t free_line = __LINE__ + 1;
        heapwarden_arena_free(heap, (void *)a);
        expected_line = free_line;
        expect(line_of(events[0].site, "overflow") == free_line);
        expect_event(OVERFLOW);
        heapwarden_arena_free(heap, (void *)b);
        expect(count == 0);
    }
    /* Over the whole header of the block above, found at the victim's free. */
    for (int way = 0; way < 2; way++) {
        fresh();
        char *above = heapwarden_arena_malloc(heap, 24);
        char *a = heapwarden_arena_malloc(heap, 24);
        expect(above > a);
        memset(a + 24, 'x', 22);
        if (way == 0)
            heapwarden_arena_free(heap, above);
        else
            expect(heapwarden_arena_check(heap) == 1);
        expect(events[0].kind == HEAPWARDEN_ARENA_VIOLATION_OVERFLOW);
        expect(events[0].block == (uintptr_t)a);
        count = 0;
        heapwarden_arena_check(heap);
        heapwarden_arena_check(heap);
        count = 0;
        expect(heapwarden_arena_check(heap) == 0);
        for (int i = 0; i < 20; i++)
            expect(heapwarden_arena_malloc(heap, 100) != NULL);
        expect(count == 0);
    }
}

static void underflow(void)
{
    fresh();
    char *a = heapwarden_arena_malloc(heap, 24), *b = heapwarden_arena_malloc(heap, 24);
    a[-1] = 7;
    expect(heapwarden_arena_check_block(heap, a) == 1);
    expect(events[0].block == (uintptr_t)a && culprit.size == 24);
    expect_event(UNDERFLOW);
    a[-1] = 7;
    heapwarden_arena_free(heap, a);
    expect_event(UNDERFLOW);
    if (HAS_OWNER) {
        ((uintptr_t *)(void *)b)[-2] = 9;
        expect(heapwarden_arena_check(heap) == 1);
        expect_event(UNDERFLOW);
    }
    heapwarden_arena_free(heap, b);
    expect(count == 0);
}

static void use_after_free(void)
{
    if (WINDOW == 0)
        return;
    fresh();
    volatile char *a = heapwarden_arena_malloc(heap, 40);
    void *fence = heapwarden_arena_malloc(heap, 8);
    char *below = heapwarden_arena_malloc(heap, 100);
    heapwarden_arena_free(heap, (void *)a);
    volatile char *written = a + FIRST_POISON + sizeof(void *);
    expect((unsigned char)*written == POISON_BYTE);
    *written = 1;
    expect(heapwarden_arena_check(heap) == 1);
    expect(events[0].address == (uintptr_t)written);
    expect_event(USE_AFTER_FREE);
    *written = 1;
    char *again = heapwarden_arena_malloc(heap, 40);
    expect(again == a && events[0].address == (uintptr_t)written);
    expect_event(USE_AFTER_FREE);
    if (!HAS_OWNER) { /* the links */
        heapwarden_arena_free(heap, (void *)a);
        *(volatile uintptr_t *)(void *)a = 1;
        expect(heapwarden_arena_malloc(heap, 40) != NULL);
        expect(count == 1 && events[0].kind == HEAPWARDEN_ARENA_VIOLATION_USE_AFTER_FREE);
        heapwarden_arena_check(heap);
        count = 0;
        expect(heapwarden_arena_check(heap) == 0);
    }
    /* The footer, found when the neighbour is freed. */
    void *spacer = heapwarden_arena_malloc(heap, 8);
    (void)spacer;
    heapwarden_arena_free(heap, below);
    ((volatile uintptr_t *)(void *)fence)[HAS_OWNER ? -5 : -3] = 0; /* the last word of `below` */
    heapwarden_arena_free(heap, fence);
    expect(events[0].kind == HEAPWARDEN_ARENA_VIOLATION_USE_AFTER_FREE && count == 1);
    heapwarden_arena_check(heap);
    count = 0;
    expect(heapwarden_arena_check(heap) == 0);
}

static void exhaustion(void)
{
    fresh();
    uint32_t line = __LINE__ + 1;
    void *big = heapwarden_arena_malloc(heap, 100000);
    expect(!big && events[0].requested == 100000);
    expected_line = line;
    expect(line_of(events[0].site, "exhaustion") == line);
    expect_event(EXHAUSTED);
    expect(!heapwarden_arena_calloc(heap, 0x10001, 0x10001));
    expect_event(EXHAUSTED);
    expect(!heapwarden_arena_malloc(heap, SIZE_MAX));
    expect_event(EXHAUSTED);
    expect(!heapwarden_arena_malloc(heap, PTRDIFF_MAX));
    expect_event(EXHAUSTED);
    expect(!heapwarden_arena_aligned_alloc(heap, 1u << 31, 8));
    expect_event(EXHAUSTED);
    expect(!heapwarden_arena_aligned_alloc(heap, 24, 8) && count == 0);
    /* malloc(0) is unique, freeable and no exhaustion. */
    void *none = heapwarden_arena_malloc(heap, 0), *other = heapwarden_arena_malloc(heap, 0);
    expect(none && other && none != other && count == 0);
    heapwarden_arena_free(heap, none);
    heapwarden_arena_free(heap, other);
    expect(count == 0);
    /* The handler gives memory back and the call succeeds. */
    ransom = heapwarden_arena_malloc(heap, 40000);
    expect(heapwarden_arena_malloc(heap, 30000) != NULL);
    expect_event(EXHAUSTED);
    /* It gives nothing back: the call is tried once more, not for ever. */
    insists = 1;
    expect(!heapwarden_arena_malloc(heap, 100000) && count == 2);
    insists = count = 0;
    /* Twin: full to the last block without an event, then one. */
    fresh();
    heapwarden_arena_statistics_t statistics;
    heapwarden_arena_statistics(heap, &statistics);
    void *all = heapwarden_arena_malloc(heap, statistics.largest_free);
    expect(all && count == 0);
    expect(!heapwarden_arena_malloc(heap, 0) && count == 1);
    heapwarden_arena_statistics(heap, &statistics);
    expect(statistics.failures == 1 && statistics.least_free_bytes == statistics.free_bytes);
    count = 0;
    heapwarden_arena_add_region(heap, bank, sizeof bank);
    char *second = heapwarden_arena_malloc(heap, 2000);
    expect(second > (char *)bank && second < (char *)bank + sizeof bank);
    heapwarden_arena_free(heap, second);
    heapwarden_arena_free(heap, all);
    expect(count == 0 && heapwarden_arena_check(heap) == 0);
}

static void resizing(void)
{
    fresh();
    volatile char *a = heapwarden_arena_malloc(heap, 30);
    for (int i = 0; i < 30; i++)
        a[i] = (char)i;
    expect(heapwarden_arena_usable_size(heap, (void *)a) == 30);
    volatile char *b = heapwarden_arena_realloc(heap, (void *)a, 17);
    expect(a == b && heapwarden_arena_usable_size(heap, (void *)b) == 17);
    b = heapwarden_arena_realloc(heap, (void *)b, 300);
    for (int i = 0; i < 17; i++)
        expect(b[i] == (char)i);
    b[300] = 1;
    b = heapwarden_arena_realloc(heap, (void *)b, 301);
    expect(b != NULL);
    expect_event(OVERFLOW);
    expect(heapwarden_arena_realloc(heap, (void *)b, 0) == NULL && count == 0);
    char *aligned = heapwarden_arena_aligned_alloc(heap, 256, 10);
    expect(((uintptr_t)aligned & 255) == 0);
    heapwarden_arena_free(heap, aligned);
    unsigned char *zero = heapwarden_arena_calloc(heap, 5, 9);
    for (int i = 0; i < 45; i++)
        expect(zero[i] == 0);
    heapwarden_arena_free(heap, zero);
    expect(count == 0 && heapwarden_arena_check(heap) == 0);
}

static uint32_t visits;

static void visit(void *context, const heapwarden_arena_block_t *block)
{
    (void)context;
    visits++;
    expect(block->size == 33 && (!HAS_OWNER || line_of(block->site, "ownership") > 0));
}

static void ownership(void)
{
    fresh();
    heapwarden_arena_cursor_t cursor = {0};
    heapwarden_arena_site_total_t table[2];
    void *kept[6];

    heapwarden_arena_free(heap, heapwarden_arena_malloc(heap, 10));
    void *before = heapwarden_arena_malloc(heap, 34);
    uint32_t mark = heapwarden_arena_mark(heap);
    for (int i = 0; i < 6; i++)
        kept[i] = heapwarden_arena_malloc(heap, 33);
    heapwarden_arena_free(heap, kept[2]);
    if (HAS_OWNER) {
        heapwarden_arena_live_since(heap, mark, 0, visit, NULL);
        expect(visits == 5);
        visits = 0;
        heapwarden_arena_live_since(heap, mark, 3, visit, NULL);
        expect(visits == 2);
    }
    heapwarden_arena_free(heap, before);
    visits = 0;
    heapwarden_arena_walk(heap, visit, NULL);
    expect(visits == 5);
    expect(heapwarden_arena_summary(heap, table, 2) == 1);
    expect(table[0].blocks == 5 && table[0].bytes == 165);
    int slices = 0;
    ((char *)kept[5])[33] = 1;
    do {
        heapwarden_arena_check_slice(heap, &cursor, 2);
        heapwarden_arena_free(heap, heapwarden_arena_malloc(heap, 10));
        slices++;
    } while ((cursor.block) && slices < 100);
    expect(slices > 2 && slices < 10);
    expect_event(OVERFLOW);
}

int main(void)
{
    double_free();
    invalid_free();
    overflow();
    underflow();
    use_after_free();
    exhaustion();
    resizing();
    ownership();
    return verdict("events");
}
