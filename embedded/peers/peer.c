/* A peer's row of the table: a heap of the registry, libc's malloc over the same
 * arena (PEER_LIBC), or a heap in C, whose source PEER_SOURCE is then part of
 * this file (PEER_TLSF, PEER_UMM, PEER_FREERTOS). With PART defined, only its
 * size. */
#ifdef PART
#include "board.h"
static uint64_t arena[512] __attribute__((section(".arena.memory")));
#else
#include "measure.h"
#endif

#ifdef PEER_LIBC
#include <stdlib.h>

static char *top;

/* What newlib asks the board for. */
void *_sbrk(ptrdiff_t bytes)
{
    char *old = top ? top : (char *)arena;

    if (old + bytes > (char *)arena + sizeof arena)
        return (void *)-1;
    top = old + bytes;
    return old;
}

/* libc's heap cannot be made new: what is live is freed instead. */
static void *live[8192];

static void reset(void)
{
    for (int i = 0; i < 8192; i++) {
        if (live[i])
            free(live[i]);
        live[i] = NULL;
    }
}
#elif defined(PEER_TLSF)
#include <stdio.h>
/* Its complaints would bring in all of stdio. */
#define printf(...) ((void)0)
#include PEER_SOURCE

static tlsf_t tlsf;
#define peer_reset(memory, length) (tlsf = tlsf_create_with_pool(memory, length))
#define peer_malloc(size) tlsf_malloc(tlsf, size)
#define peer_free(pointer, size) tlsf_free(tlsf, pointer)
#elif defined(PEER_UMM)
#include PEER_SOURCE

#define peer_reset(memory, length) umm_init_heap(memory, length)
#define peer_malloc(size) umm_malloc(size)
#define peer_free(pointer, size) umm_free(pointer)
#elif defined(PEER_FREERTOS)
/* heap_4 declares the array that it is given. */
uint8_t heap_memory[sizeof arena] __attribute__((section(".arena.bank"), aligned(8)));
#define ucHeap heap_memory
#define configTOTAL_HEAP_SIZE sizeof arena
#include PEER_SOURCE

#define peer_reset(memory, length) (pxEnd = NULL)
#define peer_malloc(size) pvPortMalloc(size)
#define peer_free(pointer, size) vPortFree(pointer)
#else
void peer_reset(void *memory, size_t length);
void *peer_malloc(size_t size);
void peer_free(void *pointer, size_t size);
#endif

#ifdef PART
void *volatile sink;

int main(void)
{
#if PART == 0
    sink = arena;
#elif defined(PEER_LIBC)
    sink = malloc(24);
    free(sink);
#else
    peer_reset(arena, sizeof arena);
    sink = peer_malloc(24);
    peer_free(sink, 24);
#endif
    return 0;
}
#else

#ifdef PEER_LIBC
/* An index for each 8 bytes of the arena: constant time, and outside of it. */
static void remember(void *pointer, void *value)
{
    if (pointer)
        live[(uint64_t *)pointer - arena] = value;
}
#endif

void heap_reset(void)
{
#ifdef PEER_LIBC
    reset();
#else
    peer_reset(arena, sizeof arena);
#endif
}

void *heap_malloc(size_t size)
{
#ifdef PEER_LIBC
    void *pointer = malloc(size);
    remember(pointer, pointer);
    return pointer;
#else
    return peer_malloc(size);
#endif
}

void heap_free(void *pointer, size_t size)
{
#ifdef PEER_LIBC
    (void)size;
    remember(pointer, NULL);
    free(pointer);
#else
    peer_free(pointer, size);
#endif
}

int main(void)
{
    measure_all();
    return 0;
}
#endif
