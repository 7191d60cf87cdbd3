/* What a program of the harness can do, one call an action:

     do_(thread, site, VERB, place, x, y, z);

   Each call prints one line: number, address, errno, value, allocations,
   misuses reported so far. Pointers are kept in place[] alone: whatever else
   saw one is overwritten, so that a leak check sees what the program means. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline, noclone, unused))
#define WEAK __attribute__((weak))

enum verb {
    ALLOCATE, RESIZE, FREE, FILL, VERIFY, ZERO, USABLE, CHECK, STATISTICS, BEGIN, END, FORK, CHILD_END,
    FREE_GHOST, RESIZE_GHOST, FREE_INSIDE, FREE_FOREIGN, DAMAGE, FORGET, SHIFT, STORE, CLEAR
};
enum function {
    MALLOC, CALLOC, REALLOC, ALIGNED_ALLOC, POSIX_MEMALIGN, MEMALIGN, VALLOC, PVALLOC,
    NEW, NEW_NOTHROW, NEW_ARRAY, NEW_ARRAY_NOTHROW, NEW_ALIGNED, NEW_ARRAY_ALIGNED
};
enum release {
    FREE_PLAIN, FREE_SIZED, FREE_ALIGNED_SIZED, DELETE, DELETE_SIZED, DELETE_ARRAY, DELETE_ARRAY_SIZED,
    DELETE_ALIGNED, DELETE_SIZED_ALIGNED, DELETE_ARRAY_ALIGNED, DELETE_ARRAY_SIZED_ALIGNED
};
enum foreign { STACK, GLOBAL, WILD, MAPPED };

/* operator new and delete, as the Itanium C++ ABI names them. */
WEAK void *_Znwm(size_t);
WEAK void *_ZnwmRKSt9nothrow_t(size_t, const void *);
WEAK void *_Znam(size_t);
WEAK void *_ZnamRKSt9nothrow_t(size_t, const void *);
WEAK void *_ZnwmSt11align_val_t(size_t, size_t);
WEAK void *_ZnamSt11align_val_t(size_t, size_t);
WEAK void _ZdlPv(void *);
WEAK void _ZdlPvm(void *, size_t);
WEAK void _ZdaPv(void *);
WEAK void _ZdaPvm(void *, size_t);
WEAK void _ZdlPvSt11align_val_t(void *, size_t);
WEAK void _ZdlPvmSt11align_val_t(void *, size_t, size_t);
WEAK void _ZdaPvSt11align_val_t(void *, size_t);
WEAK void _ZdaPvmSt11align_val_t(void *, size_t, size_t);
/* C23 */
WEAK void free_sized(void *, size_t);
WEAK void free_aligned_sized(void *, size_t, size_t);
/* heapwarden.h, so that this compiles without it */
WEAK size_t heapwarden_check_heap(void);
struct figures { size_t live_bytes, allocations, others[5], errors; uint32_t threads; };
WEAK void heapwarden_statistics(struct figures *);

#define PLACES 16
#define THREADS 4

static void *volatile place[PLACES];     /* the program's pointers */
static volatile uintptr_t ghost[PLACES]; /* freed last from the place, inverted */

struct call { int thread, site, verb, place; size_t x, y, z; };
struct answer { uintptr_t address; int error; size_t value, allocations; };

static int global_variable;

/* The byte at `at` of a block filled by `tag`: never zero, never of a pointer. */
static unsigned char byte_of(uint32_t tag, size_t at) {
    uint32_t mixed = (tag ^ ((uint32_t)at * 0x9e3779b1u)) * 0x85ebca6bu;
    return (unsigned char)(mixed >> 24 | 0x80);
}

static NOINLINE void *allocate(int function, size_t argument, size_t size, int *error) {
    void *block = NULL;
    switch (function) {
    case MALLOC: block = malloc(size); break;
    case CALLOC: block = calloc(argument, size); break;
    case REALLOC: block = realloc(NULL, size); break;
    case ALIGNED_ALLOC: block = aligned_alloc(argument, size); break;
    case POSIX_MEMALIGN: *error = posix_memalign(&block, argument, size); break;
    case MEMALIGN: block = memalign(argument, size); break;
    case VALLOC: block = valloc(size); break;
    case PVALLOC: block = pvalloc(size); break;
    case NEW: block = _Znwm(size); break;
    case NEW_NOTHROW: block = _ZnwmRKSt9nothrow_t(size, ""); break;
    case NEW_ARRAY: block = _Znam(size); break;
    case NEW_ARRAY_NOTHROW: block = _ZnamRKSt9nothrow_t(size, ""); break;
    case NEW_ALIGNED: block = _ZnwmSt11align_val_t(size, argument); break;
    case NEW_ARRAY_ALIGNED: block = _ZnamSt11align_val_t(size, argument); break;
    }
    if (function != POSIX_MEMALIGN) *error = block ? 0 : errno;
    return block;
}

static NOINLINE void release(void *block, int function, size_t size, size_t alignment) {
    switch (function) {
    case FREE_PLAIN: free(block); break;
    case FREE_SIZED: free_sized(block, size); break;
    case FREE_ALIGNED_SIZED: free_aligned_sized(block, alignment, size); break;
    case DELETE: _ZdlPv(block); break;
    case DELETE_SIZED: _ZdlPvm(block, size); break;
    case DELETE_ARRAY: _ZdaPv(block); break;
    case DELETE_ARRAY_SIZED: _ZdaPvm(block, size); break;
    case DELETE_ALIGNED: _ZdlPvSt11align_val_t(block, alignment); break;
    case DELETE_SIZED_ALIGNED: _ZdlPvmSt11align_val_t(block, size, alignment); break;
    case DELETE_ARRAY_ALIGNED: _ZdaPvSt11align_val_t(block, alignment); break;
    case DELETE_ARRAY_SIZED_ALIGNED: _ZdaPvmSt11align_val_t(block, size, alignment); break;
    }
}

static NOINLINE void free_foreign(size_t what) {
    long local[2] = {7, 7};
    void *address = &local[0];
    if (what == GLOBAL) address = &global_variable;
    if (what == WILD) address = (void *)0x10;
    if (what == MAPPED) address = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    __asm__ volatile("" : "+r"(address) : : "memory");
    errno = 0;
    free(address);
}

static NOINLINE void perform(const struct call *c, struct answer *answer) {
    unsigned char *block = place[c->place];
    unsigned char *freed = (unsigned char *)~ghost[c->place];
    void *result;
    struct figures figures = {0};
    size_t i;
    errno = 0;
    answer->error = 0;
    switch (c->verb) {
    case ALLOCATE:
        result = allocate((int)c->x, c->y, c->z, &answer->error);
        answer->address = (uintptr_t)result;
        if (result) place[c->place] = result;
        return;
    case RESIZE:
        result = realloc(block, c->x);
        answer->error = result ? 0 : errno;
        answer->address = (uintptr_t)result;
        if (c->x == 0) {
            ghost[c->place] = ~(uintptr_t)block;
            place[c->place] = NULL;
        }
        if (result) place[c->place] = result;
        return;
    case FREE:
        place[c->place] = NULL;
        release(block, (int)c->x, c->y, c->z);
        ghost[c->place] = ~(uintptr_t)block;
        break;
    case FILL:
        for (i = 0; i < c->x; i++) block[i] = byte_of((uint32_t)c->y, i);
        break;
    case VERIFY:
        for (i = 0; i < c->x; i++) {
            if (i < 4 * sizeof block && c->z >> (i / sizeof block) & 1) continue;
            if (block[i] != byte_of((uint32_t)c->y, i)) break;
        }
        answer->value = i < c->x ? i + 1 : 0;
        break;
    case ZERO:
        for (i = 0; i < c->x && block[i] == 0; i++) {}
        answer->value = i < c->x ? i + 1 : 0;
        break;
    case USABLE: answer->value = malloc_usable_size(block); break;
    case CHECK: answer->value = heapwarden_check_heap ? heapwarden_check_heap() : 0; break;
    case STATISTICS:
        if (heapwarden_statistics) heapwarden_statistics(&figures);
        answer->value = figures.live_bytes;
        answer->allocations = figures.allocations;
        break;
    case FREE_GHOST: free(freed); break;
    case RESIZE_GHOST: answer->address = (uintptr_t)realloc(freed, c->x); break;
    case FREE_INSIDE: free(block + c->x); break;
    case FREE_FOREIGN: free_foreign(c->x); break;
    case DAMAGE:
        block = (c->x ? freed : block) + (ptrdiff_t)c->y;
        __asm__ volatile("" : "+r"(block) : : "memory");
        for (i = 0; i < c->z; i++) block[i] ^= 0x5a;
        break;
    case FORGET: place[c->place] = NULL; break;
    case SHIFT: place[c->place] = block + (ptrdiff_t)c->x; break;
    case STORE:
        result = (char *)place[c->y] + c->z;
        memcpy(block + c->x * sizeof result, &result, sizeof result);
        break;
    case CLEAR: memset(block + c->x * sizeof block, 0, sizeof block); break;
    }
    answer->error = errno;
}

/* The call sites: one function each, so that a stack names them. */
#define SITE(n) \
    static NOINLINE void site_##n(const struct call *c, struct answer *answer) { \
        perform(c, answer); \
        __asm__ volatile("# site " #n : : : "memory"); \
    }
SITE(0) SITE(1) SITE(2) SITE(3) SITE(4) SITE(5) SITE(6) SITE(7)
static void (*const sites[8])(const struct call *, struct answer *) = {
    site_0, site_1, site_2, site_3, site_4, site_5, site_6, site_7};

/* Overwrites what is left of pointers in dead frames and registers. */
static NOINLINE void scrub(void) {
    volatile char dead[24 * 1024];
    for (size_t i = 0; i < sizeof dead; i++) dead[i] = 0;
#ifdef __x86_64__
    __asm__ volatile(
        "pxor %%xmm0, %%xmm0\n pxor %%xmm1, %%xmm1\n pxor %%xmm2, %%xmm2\n pxor %%xmm3, %%xmm3\n"
        "pxor %%xmm4, %%xmm4\n pxor %%xmm5, %%xmm5\n pxor %%xmm6, %%xmm6\n pxor %%xmm7, %%xmm7\n"
        "pxor %%xmm8, %%xmm8\n pxor %%xmm9, %%xmm9\n pxor %%xmm10, %%xmm10\n pxor %%xmm11, %%xmm11\n"
        "pxor %%xmm12, %%xmm12\n pxor %%xmm13, %%xmm13\n pxor %%xmm14, %%xmm14\n pxor %%xmm15, %%xmm15\n"
        : : : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
          "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
#endif
}

static unsigned long number;
static int errors(void) {
    struct figures figures = {0};
    if (heapwarden_statistics) heapwarden_statistics(&figures);
    return (int)figures.errors;
}

/* What glibc allocated for itself, for threads, and what was there before. */
static size_t foreign_bytes, foreign_allocations;

/* One line for an action. No stdio: its buffers would be blocks. */
static NOINLINE void tell(const struct answer *answer) {
    char text[160];
    size_t values[6] = {number, answer->address, (size_t)answer->error, answer->value,
                        answer->allocations, (size_t)errors()};
    size_t at = 0;
    for (int i = 0; i < 6; i++) {
        char digits[24];
        int count = 0;
        do digits[count++] = "0123456789abcdef"[values[i] & 15]; while (values[i] >>= 4);
        while (count) text[at++] = digits[--count];
        text[at++] = i < 5 ? ' ' : '\n';
    }
    if (write(1, text, at) != (ssize_t)at) _exit(98);
}

static NOINLINE void act(const struct call *c) {
    struct answer answer = {0, 0, 0, 0};
    sites[c->site](c, &answer);
    if (c->verb == STATISTICS) {
        answer.value -= foreign_bytes;
        answer.allocations -= foreign_allocations;
    }
    tell(&answer);
}

/* The other threads: each does what it is told, then waits. */
static struct call current;
static sem_t begin[THREADS], done;
static pthread_t threads[THREADS];
static volatile int running[THREADS];

static void *worker(void *argument) {
    int thread = (int)(intptr_t)argument;
    sem_post(&done);
    for (;;) {
        while (sem_wait(&begin[thread]) != 0) {}
        if (!running[thread]) return NULL;
        act(&current);
        scrub();
        sem_post(&done);
    }
}

static void wait_until_done(void) {
    while (sem_wait(&done) != 0) {}
}

static NOINLINE void switch_thread(int thread, int on) {
    struct figures before = {0}, after = {0};
    if (heapwarden_statistics) heapwarden_statistics(&before);
    running[thread] = on;
    if (on) {
        sem_init(&begin[thread], 0, 0);
        if (pthread_create(&threads[thread], NULL, worker, (void *)(intptr_t)thread) != 0) _exit(97);
        wait_until_done();
    } else {
        sem_post(&begin[thread]);
        pthread_join(threads[thread], NULL);
    }
    if (heapwarden_statistics) heapwarden_statistics(&after);
    foreign_bytes += after.live_bytes - before.live_bytes;
    foreign_allocations += after.allocations - before.allocations;
}

/* The child does the actions up to CHILD_END, the parent those from there. */
static int is_skipping, is_child;
static pid_t child;

static NOINLINE void run(const struct call *c) {
    struct answer nothing = {0, 0, 0, 0};
    number++;
    if (c->verb == CHILD_END) {
        int status = 0;
        if (is_child) _exit(0);
        is_skipping = 0;
        while (waitpid(child, &status, 0) != child) {}
        nothing.value = (size_t)status;
        tell(&nothing);
    } else if (is_skipping) {
        return;
    } else if (c->verb == FORK) {
        tell(&nothing);
        child = fork();
        if (child < 0) _exit(96);
        is_child = child == 0;
        is_skipping = !is_child;
    } else if (c->verb == BEGIN || c->verb == END) {
        switch_thread((int)c->x, c->verb == BEGIN);
        tell(&nothing);
    } else if (c->thread) {
        current = *c;
        sem_post(&begin[c->thread]);
        wait_until_done();
    } else {
        act(c);
    }
    scrub();
}

static NOINLINE void do_(int thread, int site, int verb, int place_, size_t x, size_t y, size_t z) {
    struct call c = {thread, site, verb, place_, x, y, z};
    run(&c);
}

/* Before the first action. */
static NOINLINE void start(void) {
    struct figures figures = {0};
    sem_init(&done, 0, 0);
    if (heapwarden_statistics) heapwarden_statistics(&figures);
    foreign_bytes = figures.live_bytes;
    foreign_allocations = figures.allocations;
}
