/* heapwarden's row of the table; WINDOW is the poison window in bytes. */
#include "measure.h"

#include "heapwarden.h"

#ifndef WINDOW
#define WINDOW 32
#endif

static heapwarden_arena_t *heap;

void heap_reset(void)
{
    heapwarden_arena_config_t config = {.poison_window = WINDOW};

    heap = heapwarden_arena_init(arena, sizeof arena, &config);
}

void *heap_malloc(size_t size)
{
    return heapwarden_arena_malloc(heap, size);
}

void heap_free(void *pointer, size_t size)
{
    (void)size;
    heapwarden_arena_free(heap, pointer);
}

int main(void)
{
    measure_all();
    return 0;
}
