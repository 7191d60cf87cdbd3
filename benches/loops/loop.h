// What every loop shares: its one argument, a private random generator
// (libc's rand takes a lock), and the check that a block still holds what was
// written to it.
//
// The argument is the number of allocations to make, so that the same source
// serves the clock (tens of millions) and callgrind (tens of thousands).
// A loop prints nothing; it exits with 1 when a block's contents are wrong.
#ifndef LOOP_H
#define LOOP_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline size_t allocations_wanted(int argc, char **argv) {
    char *end = NULL;
    unsigned long long n = argc > 1 ? strtoull(argv[1], &end, 10) : 0;
    if (n == 0 || *end != '\0') {
        fprintf(stderr, "usage: %s ALLOCATIONS\n", argv[0]);
        exit(2);
    }
    return (size_t)n;
}

// xorshift64 (Marsaglia 2003): two or three cycles a number.
typedef struct { uint64_t state; } random_t;

static inline random_t random_from(uint64_t seed) {
    random_t r = {seed * 0x9E3779B97F4A7C15u + 1};
    return r;
}

static inline uint64_t random_next(random_t *r) {
    uint64_t x = r->state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return r->state = x;
}

// Uniform in [low, high]; the high bits of the product, no division.
static inline size_t random_between(random_t *r, size_t low, size_t high) {
    uint64_t wide = (random_next(r) >> 32) * (uint64_t)(high - low + 1);
    return low + (size_t)(wide >> 32);
}

static inline void *must(void *block) {
    if (block == NULL) {
        fputs("out of memory\n", stderr);
        exit(1);
    }
    return block;
}

static inline void expect(int condition) {
    if (!condition) {
        fputs("a block does not hold what was written to it\n", stderr);
        exit(1);
    }
}

// Marks a block of at least 8 bytes as ours: first word and last byte.
static inline void sign(void *block, size_t size) {
    *(uint64_t *)block = (uint64_t)size;
    ((unsigned char *)block)[size - 1] = (unsigned char)size;
}

static inline void verify(const void *block, size_t size) {
    expect(((const unsigned char *)block)[size - 1] == (unsigned char)size);
    expect(size == 8 || *(const uint64_t *)block == (uint64_t)size);
}

#endif
