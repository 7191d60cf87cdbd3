/* Leak assertions for plain C tests.
 *
 *     HEAPWARDEN_NO_LEAKS(parse("input"));
 *
 * runs the statement and aborts if blocks that were allocated in it are lost
 * afterwards; the report names them. It needs no link with heapwarden: under
 * `heapwarden run`, or linked with the library, it checks; otherwise it only
 * runs the statement.
 */
#ifndef HEAPWARDEN_ASSERT_H
#define HEAPWARDEN_ASSERT_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* RTLD_DEFAULT */
#endif
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static inline uint64_t heapwarden_assert_mark(void) {
    void *found = dlsym(RTLD_DEFAULT, "heapwarden_mark");
    uint64_t (*mark)(void);
    *(void **)&mark = found;
    return found ? mark() : 0;
}

static inline int heapwarden_assert_leaks_since(uint64_t mark) {
    void *found = dlsym(RTLD_DEFAULT, "heapwarden_leaks_since");
    int (*leaks_since)(uint64_t);
    *(void **)&leaks_since = found;
    return found ? leaks_since(mark) : 0;
}

#define HEAPWARDEN_NO_LEAKS(...)                                                                   \
    do {                                                                                           \
        uint64_t heapwarden_mark_ = heapwarden_assert_mark();                                      \
        __VA_ARGS__;                                                                               \
        if (heapwarden_assert_leaks_since(heapwarden_mark_) != 0) {                                \
            fprintf(stderr, "%s:%d: blocks are lost after: %s\n", __FILE__, __LINE__,              \
                    #__VA_ARGS__);                                                                 \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

#endif
