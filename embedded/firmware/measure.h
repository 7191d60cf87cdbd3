/* The measurements that every allocator of the table goes through, on the same
 * 64 KiB: instructions a call, blocks that fit, efficiency.
 *
 * The program that includes this defines
 *   void heap_reset(void)                 a fresh heap over `arena`
 *   void *heap_malloc(size_t)
 *   void heap_free(void *, size_t)        the size, for those who need it
 * and calls measure_all(). Output: one "name value" a line. */
#ifndef MEASURE_H
#define MEASURE_H

#include "board.h"

#define ARENA_BYTES 65536u
#define SLOTS 2048

static uint64_t arena[ARENA_BYTES / 8] __attribute__((section(".arena.memory")));
static void *blocks[SLOTS];
static uint16_t sizes[SLOTS];
static uint32_t seed = 1;
static uint32_t overhead; /* instructions of an empty measurement */

void heap_reset(void);
void *heap_malloc(size_t size);
void heap_free(void *pointer, size_t size);

static uint32_t random_number(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return seed;
}

/* Mixed sizes: 60 % 8-64 B, 30 % 64-256, 10 % 256-1500. */
static uint32_t mixed_size(void)
{
    uint32_t dice = random_number() % 10;

    if (dice < 6)
        return 8 + random_number() % 57;
    if (dice < 9)
        return 64 + random_number() % 193;
    return 256 + random_number() % 1245;
}

static uint32_t small_size(void)
{
    return 1 + random_number() % 64;
}

static void report(const char *name, uint32_t value)
{
    board_print(name);
    board_print(" ");
    board_print_number(value);
    board_print("\n");
}

static uint32_t last; /* instructions of the last timed call */

static void *timed_malloc(uint32_t size)
{
    uint32_t from = board_counter();
    void *pointer = heap_malloc(size);
    uint32_t to = board_counter();

    last = board_counter_between(from, to) - overhead;
    return pointer;
}

static void timed_free(void *pointer, uint32_t size)
{
    uint32_t from = board_counter();
    heap_free(pointer, size);
    uint32_t to = board_counter();

    last = board_counter_between(from, to) - overhead;
}

static void measure_mixed(void)
{
    uint32_t mallocs = 0, malloc_sum = 0, malloc_max = 0, frees = 0, free_sum = 0, free_max = 0;

    heap_reset();
    for (int i = 0; i < 128; i++)
        blocks[i] = 0;
    for (int step = 0; step < 30000; step++) {
        uint32_t slot = random_number() % 128;

        if (blocks[slot]) {
            timed_free(blocks[slot], sizes[slot]);
            blocks[slot] = 0;
            frees++;
            free_sum += last;
            if (last > free_max)
                free_max = last;
        } else {
            sizes[slot] = (uint16_t)mixed_size();
            blocks[slot] = timed_malloc(sizes[slot]);
            mallocs++;
            malloc_sum += last;
            if (last > malloc_max)
                malloc_max = last;
        }
    }
    report("malloc-mean", malloc_sum / mallocs);
    report("malloc-max", malloc_max);
    report("free-mean", free_sum / frees);
    report("free-max", free_max);
}

/* Full of alternating holes of 32 bytes: a miss, and the last block's free. */
static void measure_holes(void)
{
    int count = 0;

    heap_reset();
    while (count < SLOTS && (blocks[count] = heap_malloc(32)))
        count++;
    for (int i = 0; i < count; i += 2)
        heap_free(blocks[i], 32);
    timed_malloc(200);
    report("holes-malloc", last);
    timed_free(blocks[count - 1 - count % 2], 32);
    report("holes-free", last);
}

static void measure_capacity(const char *name, uint32_t size)
{
    uint32_t count = 0;

    heap_reset();
    while (heap_malloc(size))
        count++;
    /* Tenths of a byte of arena a block. */
    report(name, ARENA_BYTES * 10 / count);
}

/* Random work until the first failure, 30 rounds: per mille of the arena that
 * is the user's bytes then. */
static void measure_efficiency(const char *name, uint32_t (*size)(void))
{
    uint64_t sum = 0;

    for (int round = 0; round < 30; round++) {
        uint32_t count = 0, bytes = 0;

        heap_reset();
        for (;;) {
            if (count < SLOTS && (count == 0 || random_number() % 6 < 4)) {
                sizes[count] = (uint16_t)size();
                blocks[count] = heap_malloc(sizes[count]);
                if (!blocks[count])
                    break;
                bytes += sizes[count++];
            } else {
                uint32_t slot = random_number() % count;

                heap_free(blocks[slot], sizes[slot]);
                bytes -= sizes[slot];
                blocks[slot] = blocks[--count];
                sizes[slot] = sizes[count];
            }
        }
        sum += bytes;
    }
    report(name, (uint32_t)(sum * 1000 / (30 * (uint64_t)ARENA_BYTES)));
}

static void measure_all(void)
{
    board_counter_start();
    for (int i = 0; i < 3; i++) {
        uint32_t from = board_counter();
        uint32_t to = board_counter();

        overhead = board_counter_between(from, to);
    }
    measure_mixed();
    measure_holes();
    measure_capacity("per-block-16", 16);
    measure_capacity("per-block-100", 100);
    measure_efficiency("efficiency-small", small_size);
    measure_efficiency("efficiency-mixed", mixed_size);
}

#endif
