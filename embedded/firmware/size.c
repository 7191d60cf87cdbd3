/* How much text the heap adds: nothing (PART=0), init, malloc and free (1), all
 * functions but the JSON writers (2), all (3). A table in .data keeps them, so
 * that text is theirs alone, without the calls. */
#include "board.h"
#include "heapwarden.h"

void *const volatile kept[] __attribute__((section(".data.kept"), used)) = {
    NULL,
#if PART >= 1
    heapwarden_arena_init,
    heapwarden_arena_malloc_at,
    heapwarden_arena_free_at,
#endif
#if PART >= 2
    heapwarden_arena_add_region,
    heapwarden_arena_calloc_at,
    heapwarden_arena_realloc_at,
    heapwarden_arena_aligned_alloc_at,
    heapwarden_arena_usable_size,
    heapwarden_arena_check,
    heapwarden_arena_check_block,
    heapwarden_arena_check_slice,
    heapwarden_arena_walk,
    heapwarden_arena_mark,
    heapwarden_arena_live_since,
    heapwarden_arena_lost,
    heapwarden_arena_summary,
    heapwarden_arena_statistics,
    heapwarden_arena_reset_least_free,
    heapwarden_arena_block_of,
#endif
#if PART >= 3
    heapwarden_arena_report_event,
    heapwarden_arena_report_lost,
#endif
};

int main(void)
{
    return kept[0] != NULL;
}
