// The cheapest malloc there is: it moves a pointer on and never frees. Counting
// a loop's instructions under it tells what the loop itself costs; what another
// allocator takes above that is the allocator's own (`--instructions`).
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

enum { HEADER = 16 };
static const size_t CHUNK = (size_t)256 << 20;

static _Thread_local char *next, *end;

static void *bump(size_t align, size_t size) {
    uintptr_t start = ((uintptr_t)next + HEADER + align - 1) & ~(uintptr_t)(align - 1);
    if (next == NULL || start + size > (uintptr_t)end) {
        size_t chunk = size + align + HEADER > CHUNK ? size + align + HEADER : CHUNK;
        next = mmap(NULL, chunk, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (next == MAP_FAILED) {
            next = NULL;
            errno = ENOMEM;
            return NULL;
        }
        end = next + chunk;
        start = ((uintptr_t)next + HEADER + align - 1) & ~(uintptr_t)(align - 1);
    }
    *(size_t *)(start - HEADER) = size;
    next = (char *)(start + size);
    return (void *)start;
}

static size_t size_of(void *block) { return *(size_t *)((char *)block - HEADER); }

void *malloc(size_t size) { return bump(16, size); }
void free(void *block) { (void)block; }
void *calloc(size_t n, size_t size) { return bump(16, n * size); }

void *realloc(void *block, size_t size) {
    void *moved = bump(16, size);
    if (block != NULL && moved != NULL)
        memcpy(moved, block, size_of(block) < size ? size_of(block) : size);
    return moved;
}

void *aligned_alloc(size_t align, size_t size) { return bump(align < 16 ? 16 : align, size); }
void *memalign(size_t align, size_t size) { return bump(align < 16 ? 16 : align, size); }
size_t malloc_usable_size(void *block) { return block != NULL ? size_of(block) : 0; }

int posix_memalign(void **result, size_t align, size_t size) {
    *result = bump(align < 16 ? 16 : align, size);
    return *result != NULL ? 0 : ENOMEM;
}
