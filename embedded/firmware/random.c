/* A million random operations on 64 KiB without a false report; contents and
 * counts are compared with a shadow all the while. */
#include "expect.h"
#include "heapwarden.h"

#ifndef WINDOW
#define WINDOW 32
#endif
#ifndef STEPS
#define STEPS 1000000
#endif
#define SLOTS 256

static uint64_t arena[8192] __attribute__((section(".arena.memory")));
static heapwarden_arena_t *heap;
static unsigned char *blocks[SLOTS];
static uint32_t sizes[SLOTS];
static uint32_t reports, exhausted, seed = 2463534242u;

static heapwarden_arena_answer_t on_event(void *context, const heapwarden_arena_event_t *event)
{
    (void)context;
    if (event->kind == HEAPWARDEN_ARENA_VIOLATION_EXHAUSTED)
        exhausted++;
    else
        reports++;
    return HEAPWARDEN_ARENA_ANSWER_CONTINUE;
}

static uint32_t random_number(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return seed >> 3;
}

static uint32_t random_size(void)
{
    uint32_t dice = random_number() % 16;

    if (dice < 9)
        return random_number() % 64;
    if (dice < 15)
        return random_number() % 400;
    return random_number() % 4000;
}

/* The first and the last byte carry the slot's number. */
static void sign(uint32_t slot)
{
    if (sizes[slot])
        blocks[slot][0] = blocks[slot][sizes[slot] - 1] = (unsigned char)slot;
}

static void look(uint32_t slot)
{
    if (sizes[slot])
        expect(blocks[slot][0] == (unsigned char)slot &&
               blocks[slot][sizes[slot] - 1] == (unsigned char)slot);
}

int main(void)
{
    heapwarden_arena_config_t config = {.on_event = on_event, .poison_window = WINDOW};
    heapwarden_arena_statistics_t statistics;
    uint32_t failed = 0, live = 0;

    heap = heapwarden_arena_init(arena, sizeof arena, &config);
    heapwarden_arena_statistics(heap, &statistics);
    uint32_t whole = statistics.largest_free;
    for (uint32_t step = 0; step < STEPS; step++) {
        uint32_t slot = random_number() % SLOTS, dice = random_number() % 16;

        if (!blocks[slot]) {
            sizes[slot] = random_size();
            if (dice == 0)
                blocks[slot] = heapwarden_arena_aligned_alloc(heap, 1u << random_number() % 9,
                                                              sizes[slot]);
            else
                blocks[slot] = heapwarden_arena_malloc(heap, sizes[slot]);
            failed += !blocks[slot];
            live += !!blocks[slot];
            if (blocks[slot])
                sign(slot);
        } else if (dice < 4) {
            uint32_t size = 1 + random_size();

            look(slot);
            unsigned char *moved = heapwarden_arena_realloc(heap, blocks[slot], size);
            failed += !moved;
            if (moved) {
                expect(!sizes[slot] || moved[0] == (unsigned char)slot);
                blocks[slot] = moved;
                sizes[slot] = size;
                sign(slot);
            }
        } else {
            look(slot);
            heapwarden_arena_free(heap, blocks[slot]);
            blocks[slot] = NULL;
            live--;
        }
        if (step % 20000 == 0) {
            expect(heapwarden_arena_check(heap) == 0);
            heapwarden_arena_statistics(heap, &statistics);
            expect(statistics.live_blocks == live);
            expect(statistics.free_bytes + statistics.live_bytes + statistics.overhead_bytes ==
                   statistics.total_bytes);
        }
    }
    for (uint32_t slot = 0; slot < SLOTS; slot++)
        heapwarden_arena_free(heap, blocks[slot]);
    expect(heapwarden_arena_check(heap) == 0);
    heapwarden_arena_statistics(heap, &statistics);
    expect(statistics.largest_free == whole && statistics.live_blocks == 0);
    expect(reports == 0 && exhausted == failed && failed > 0);
    return verdict("random");
}
