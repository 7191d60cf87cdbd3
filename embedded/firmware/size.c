/* How much text the heap adds: the same main with nothing (PART=0), with
 * init, malloc and free (1), or with every function (2). */
#include "board.h"
#include "heapwarden_arena.h"

static uint64_t memory[512];
static heapwarden_arena_config_t config;
void *volatile sink;

#if PART == 2
static void visit(void *context, const heapwarden_arena_block_t *block)
{
    (void)context;
    sink = (void *)block->address;
}
#endif

int main(void)
{
#if PART >= 1
    heapwarden_arena_t *heap = heapwarden_arena_init(memory, sizeof memory, &config);
    sink = heapwarden_arena_malloc_at(heap, 24, NULL);
    heapwarden_arena_free_at(heap, sink, NULL);
#else
    sink = memory;
    sink = &config;
#endif
#if PART == 2
    heapwarden_arena_root_t root = {memory, memory + 1};
    heapwarden_arena_cursor_t cursor = {0};
    heapwarden_arena_statistics_t statistics;
    heapwarden_arena_block_t block;
    heapwarden_arena_site_total_t table[2];

    heapwarden_arena_add_region(heap, memory, 512);
    sink = heapwarden_arena_calloc_at(heap, 2, 3, NULL);
    sink = heapwarden_arena_realloc_at(heap, sink, 3, NULL);
    sink = heapwarden_arena_aligned_alloc_at(heap, 32, 3, NULL);
    sink = (void *)heapwarden_arena_usable_size(heap, sink);
    heapwarden_arena_check(heap);
    heapwarden_arena_check_block(heap, sink);
    heapwarden_arena_check_slice(heap, &cursor, 8);
    heapwarden_arena_walk(heap, visit, NULL);
    heapwarden_arena_live_since(heap, heapwarden_arena_mark(heap), 3, visit, NULL);
    heapwarden_arena_lost(heap, &root, 1, NULL, NULL, NULL);
    heapwarden_arena_summary(heap, table, 2);
    heapwarden_arena_statistics(heap, &statistics);
    heapwarden_arena_reset_least_free(heap);
    heapwarden_arena_block_of(heap, sink, &block);
#endif
    return 0;
}
