/* The program whose names and lines must be right however it was compiled: one
   block, made two calls below main through a frame of unknown size. Lost if the
   first argument is 1. */
#ifndef NAMED_CALLS_H
#define NAMED_CALLS_H

#include "scenario.h"

static NOINLINE void *make_block(size_t size) {
    return opaque(malloc(size)); /* @made */
}

static NOINLINE void *through_alloca(size_t size) {
    volatile char *room = __builtin_alloca(opaque_size(size * 3));
    room[0] = 1;
    void *block = make_block(size); /* @through */
    room[size] = 2;
    return block;
}

int main(int argc, char **argv) {
    void *block = through_alloca(64); /* @main */
    if (!atoi(argv[1])) free(block);
    lose(&block);
    scrub_stack();
    return 0;
}

#endif
