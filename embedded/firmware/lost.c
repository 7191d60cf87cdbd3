/* Lost blocks, lost cycles and blocks held by their inside only, among many
 * that are held, each with the line that asked for it. */
#include "expect.h"
#include "heapwarden.h"

typedef struct node {
    struct node *next;
    uint32_t weight[3];
} node_t;

static uint64_t arena[8192] __attribute__((section(".arena.memory")));
static heapwarden_arena_t *heap;
/* Volatile, or the compiler drops what is never read. */
static node_t *volatile list, *volatile table[2];
static char *volatile inside;
static uint32_t line_lost, line_cycle, line_held, line_inside;
static uint32_t found_lost, found_cycle, found_held, found_inside, found_else;

static uint32_t line_of(uintptr_t site)
{
    return site && !(site & 1) ? ((const heapwarden_arena_site_t *)site)->line : 0;
}

static void visit(void *context, const heapwarden_arena_leak_t *leak)
{
    uint32_t line = line_of(leak->first.site);

    (void)context;
    if (line == line_lost && leak->kind == HEAPWARDEN_ARENA_LEAK_KIND_DEFINITE)
        found_lost += leak->blocks;
    else if (line == line_cycle)
        found_cycle += leak->blocks;
    else if (line == line_held && leak->kind == HEAPWARDEN_ARENA_LEAK_KIND_INDIRECT)
        found_held += leak->blocks;
    else if (line == line_inside && leak->kind == HEAPWARDEN_ARENA_LEAK_KIND_POSSIBLE)
        found_inside += leak->blocks;
    else
        found_else += leak->blocks;
}

static __attribute__((noinline)) void build(void)
{
    for (int i = 0; i < 300; i++) {
        node_t *node = heapwarden_arena_calloc(heap, 1, sizeof *node);
        node->next = list;
        list = node;
    }
    /* A tree whose root holds more children than the mark stack has room. */
    node_t **children = heapwarden_arena_malloc(heap, 40 * sizeof(node_t *));
    table[0] = (node_t *)(void *)children;
    for (int i = 0; i < 40; i++) {
        children[i] = heapwarden_arena_calloc(heap, 1, sizeof(node_t));
        children[i]->next = heapwarden_arena_calloc(heap, 1, sizeof(node_t));
    }
    line_lost = __LINE__ + 2;
    for (int i = 0; i < 4; i++) {
        node_t *volatile gone = heapwarden_arena_calloc(heap, 1, sizeof *gone);
        line_held = __LINE__ + 1;
        gone->next = heapwarden_arena_calloc(heap, 1, sizeof(node_t));
        gone = NULL;
    }
    node_t *first = NULL, *last = NULL;
    line_cycle = __LINE__ + 2;
    for (int i = 0; i < 3; i++) {
        node_t *node = heapwarden_arena_calloc(heap, 1, sizeof *node);
        node->next = first;
        first = node;
        last = last ? last : node;
    }
    last->next = first;
    first = last = NULL;
    line_inside = __LINE__ + 1;
    inside = (char *)heapwarden_arena_malloc(heap, 64) + 20;
}

static __attribute__((noinline)) void wipe_stack(void)
{
    volatile char old[512];

    for (unsigned i = 0; i < sizeof old; i++)
        old[i] = 0;
}

int main(void)
{
    heapwarden_arena_config_t config = {.poison_window = 32};
    heapwarden_arena_root_t roots[2];
    heapwarden_arena_leak_totals_t totals;

    heap = heapwarden_arena_init(arena, sizeof arena, &config);
    build();
    wipe_stack();
    /* Held by a register or the stack only. */
    void *volatile kept = heapwarden_arena_malloc(heap, 10);
    roots[0] = (heapwarden_arena_root_t){board_data_start, board_data_end};
    HEAPWARDEN_ARENA_STACK_ROOT(&roots[1], board_stack_top);
    board_counter_start();
    uint32_t from = board_counter();
    heapwarden_arena_lost(heap, roots, 2, visit, NULL, &totals);
    uint32_t instructions = board_counter_between(from, board_counter());
    expect(found_lost == 4);
    expect(found_held == 4);
    expect(found_cycle == 3);
    expect(found_inside == 1);
    expect(found_else == 0);
    expect(totals.kinds[HEAPWARDEN_ARENA_LEAK_KIND_DEFINITE].blocks == 5);
    expect(totals.kinds[HEAPWARDEN_ARENA_LEAK_KIND_INDIRECT].blocks == 6);
    expect(totals.kinds[HEAPWARDEN_ARENA_LEAK_KIND_POSSIBLE].bytes == 64);
    expect(totals.kinds[HEAPWARDEN_ARENA_LEAK_KIND_REACHABLE].blocks == 382);
    expect(heapwarden_arena_check(heap) == 0);
    /* Marks are gone: a second scan says the same. */
    found_lost = 0;
    heapwarden_arena_lost(heap, roots, 2, visit, NULL, NULL);
    expect(found_lost == 4);
    board_print("instructions-per-block ");
    board_print_number(instructions / 394);
    board_print("\n");
    (void)kept;
    return verdict("lost");
}
