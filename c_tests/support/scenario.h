/* Small helpers every scenario may use. C99 and C++11. */
#ifndef SCENARIO_H
#define SCENARIO_H

#ifndef __STDC_FORMAT_MACROS
#define __STDC_FORMAT_MACROS
#endif
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A function that keeps its own frame and its own name. */
#define NOINLINE __attribute__((noinline, noclone, unused))

/* Exit code of a program whose own expectations failed; no verdict of
   heapwarden uses it. */
#define FAILED 99

static inline void scenario_failed(const char *file, int line, const char *what) {
    char text[400];
    int length = snprintf(text, sizeof text, "%s:%d: not so: %s (errno %d)\n", file, line, what, errno);
    if (write(2, text, length > 399 ? 399 : (size_t)length) < 0) _exit(FAILED - 1);
    _exit(FAILED);
}

/* An assertion that is always compiled in and allocates nothing. */
#define CHECK(condition) \
    do { \
        if (!(condition)) scenario_failed(__FILE__, __LINE__, #condition); \
    } while (0)

/* The compiler knows nothing about the result: no call can be removed and no
   property of the pointer can be deduced. */
static inline void *opaque(const void *pointer) {
    void *result = (void *)(uintptr_t)pointer;
    __asm__ volatile("" : "+r"(result) : : "memory");
    return result;
}

static inline size_t opaque_size(size_t size) {
    __asm__ volatile("" : "+r"(size) : : "memory");
    return size;
}

/* A pointer no leak scan can recognise, and back. */
static inline uintptr_t hide(const void *pointer) { return ~(uintptr_t)pointer; }
static inline void *reveal(uintptr_t hidden) { return (void *)~hidden; }

/* Overwrites the dead part of the stack, so that no stale copy of a pointer is
   left below the frames that are alive. */
static NOINLINE void scrub_stack(void) {
    volatile char dead[48 * 1024];
    for (size_t i = 0; i < sizeof dead; i++) dead[i] = 0;
}

/* Forgets the only pointer to a block. */
static NOINLINE void lose(void *slot) {
    void *nothing = NULL;
    memcpy(slot, &nothing, sizeof nothing);
    scrub_stack();
}

/* Changes a byte wherever it lies, whatever it held. */
static inline void damage(void *address) {
    volatile unsigned char *byte = (volatile unsigned char *)opaque(address);
    *byte = (unsigned char)(*byte ^ 0x5a);
}

/* The number in an argument such as 4096, 32K, 8M. */
static inline size_t size_argument(const char *text) {
    char *end;
    size_t value = strtoull(text, &end, 0);
    if (*end == 'K') value <<= 10;
    if (*end == 'M') value <<= 20;
    return value;
}

#endif
