// innocent: each operation once as a thread's very first allocator call
// origin: snmalloc first_operation
// expect: silent
#include "scenario.h"
#include <malloc.h>
#include <pthread.h>

static const size_t sizes[] = {0, 1, 16, 100, 1024, 5000, 32768, 32769, 1000000};
static void *given;

static void *operation(void *which) {
    int op = (int)(uintptr_t)which % 8;
    size_t size = sizes[(uintptr_t)which / 8];
    void *block = NULL;
    if (op == 0) block = malloc(size);
    if (op == 1) block = calloc(1, size);
    if (op == 2) { free(given); return NULL; }
    if (op == 3) block = realloc(given, size + 1);
    if (op == 4) block = memalign(256, size);
    if (op == 5) CHECK(posix_memalign(&block, 4096, size) == 0);
    if (op == 6) { CHECK(malloc_usable_size(given) >= size); free(given); return NULL; }
    if (op == 7) block = aligned_alloc(64, size);
    CHECK(block != NULL);
    free(opaque(block));
    return NULL;
}

int main(void) {
    for (size_t which = 0; which < 8 * (sizeof sizes / sizeof *sizes); which++) {
        pthread_t thread;
        int op = (int)which % 8;
        given = op == 2 || op == 3 || op == 6 ? opaque(malloc(sizes[which / 8])) : NULL;
        CHECK(pthread_create(&thread, NULL, operation, (void *)which) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
    }
    return 0;
}
