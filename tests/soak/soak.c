/* The long run, from inside a program: threads that are born and die, random
 * sizes and functions, blocks freed by other threads, forks, failing
 * allocations, live leak checks. A known number of blocks is lost on purpose;
 * the contents of each block are verified when it is resized or freed.
 *
 *     soak SECONDS [SEED]        (heapwarden preloaded; see scripts/soak.sh)
 */
#include <heapwarden.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PLACES = 4096, THREADS = 4, TURNS = 20000, LOST_SIZE = 77, MOST_LOST = 64 };

struct block {
    unsigned char *start;
    size_t size;
    unsigned char fill;
};

static struct block places[PLACES];
static pthread_mutex_t locks[PLACES];
static atomic_ulong operations, refused, forks, checks, threads;
static atomic_int lost;
static atomic_int failures;

static void complain(const char *what)
{
    fprintf(stderr, "soak: %s\n", what);
    atomic_fetch_add(&failures, 1);
}

static unsigned long next(unsigned long *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static size_t some_size(unsigned long *random)
{
    switch (next(random) % 40) {
    case 0: return next(random) % 400000;
    case 1: case 2: case 3: return next(random) % 40000;
    case 4: case 5: case 6: case 7: return next(random) % 2000;
    default: return next(random) % 200;
    }
}

static void verify(const struct block *block, size_t size)
{
    for (size_t at = 0; at < size; at += 1 + size / 64)
        if (block->start[at] != block->fill)
            return complain("a block does not hold what was written");
}

static void give(struct block *block, unsigned char *start, size_t size, unsigned char fill)
{
    memset(start, fill, size);
    *block = (struct block){start, size, fill};
}

static void one_operation(unsigned long *random)
{
    size_t place = next(random) % PLACES, size = some_size(random);
    unsigned char fill = (unsigned char)next(random);
    void *start = NULL;
    pthread_mutex_lock(&locks[place]);
    struct block *block = &places[place];
    atomic_fetch_add_explicit(&operations, 1, memory_order_relaxed);
    if (block->start && next(random) % 3 == 0) {
        verify(block, block->size);
        start = realloc(block->start, size + 1);
        if (start) {
            *block = (struct block){start, block->size, block->fill};
            verify(block, block->size <= size ? block->size : size);
            give(block, start, size + 1, fill);
        } else {
            verify(block, block->size);
            atomic_fetch_add(&refused, 1);
        }
    } else if (block->start) {
        verify(block, block->size);
        free(block->start);
        block->start = NULL;
    } else {
        switch (next(random) % 4) {
        case 0: start = calloc(1, size + 1); break;
        case 1: start = aligned_alloc((size_t)16 << next(random) % 9, size + 1); break;
        default: start = malloc(size + 1);
        }
        if (start)
            give(block, start, size + 1, fill);
        else
            atomic_fetch_add(&refused, 1);
    }
    pthread_mutex_unlock(&locks[place]);
}

static void in_child(unsigned long random)
{
    void *mine[50];
    for (int turn = 0; turn < 20; turn++) {
        for (int i = 0; i < 50; i++)
            mine[i] = malloc(some_size(&random));
        for (int i = 0; i < 50; i++)
            free(mine[i]);
    }
    _exit(heapwarden_check_heap() == 0 ? 0 : 3);
}

static void *worker(void *argument)
{
    unsigned long random = (unsigned long)argument;
    atomic_fetch_add(&threads, 1);
    for (int turn = 0; turn < TURNS; turn++) {
        one_operation(&random);
        if (turn == TURNS / 2 && next(&random) % 4 == 0) {
            pid_t child = fork();
            int status = 0;
            if (child == 0)
                in_child(random);
            if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
                fprintf(stderr, "soak: child %d, status %#x\n", child, (unsigned)status),
                    complain("a forked child did not end well");
            atomic_fetch_add(&forks, 1);
        }
    }
    return NULL;
}

__attribute__((noinline)) static void lose_one(void)
{
    char *volatile block = malloc(LOST_SIZE);
    if (block) {
        memset(block, 7, LOST_SIZE);
        atomic_fetch_add(&lost, 1);
    }
    block = NULL;
}

__attribute__((noinline)) static void wipe_stack(void)
{
    volatile char space[8192];
    memset((char *)space, 0, sizeof space);
}

static size_t resident(void)
{
    size_t pages = 0, all = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%zu %zu", &all, &pages) != 2)
        complain("no /proc/self/statm");
    if (file)
        fclose(file);
    return pages * 4096;
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

int main(int count, char **arguments)
{
    double seconds = count > 1 ? atof(arguments[1]) : 10, begun = now();
    unsigned long random = count > 2 ? strtoul(arguments[2], NULL, 0) | 1 : 88172645463325252ul;
    size_t settled = 0, peak = 0;
    for (int i = 0; i < PLACES; i++)
        pthread_mutex_init(&locks[i], NULL);
    for (int round = 0; now() - begun < seconds || round < 8; round++) {
        pthread_t workers[THREADS];
        int started = 0;
        if (round % 5 == 4) {
            struct heapwarden_failing_t some = {.rate = 50, .seed = next(&random)};
            heapwarden_fail_allocations(&some);
        }
        for (int i = 0; i < THREADS; i++)
            started += !pthread_create(&workers[started], NULL, worker, (void *)(next(&random) | 1));
        if (round % 7 == 3) {
            /* While the workers run: the answer changes, but must come. */
            heapwarden_check_leaks();
            atomic_fetch_add(&checks, 1);
        }
        for (int i = 0; i < started; i++)
            pthread_join(workers[i], NULL);
        heapwarden_fail_allocations(NULL);
        if (round % 16 == 0 && atomic_load(&lost) < MOST_LOST)
            lose_one();
        wipe_stack();
        if (heapwarden_check_heap() != 0)
            complain("damage that nobody did");
        size_t resident_now = resident();
        if (resident_now > peak)
            peak = resident_now;
        if (round == 7)
            settled = peak;
    }
    size_t live = 0;
    for (int i = 0; i < PLACES; i++)
        live += places[i].start ? places[i].size : 0;
    struct heapwarden_statistics_t figures;
    heapwarden_statistics(&figures);
    if (figures.live_bytes < live || figures.live_bytes > live + (1 << 20))
        complain("the count of live bytes is not what was asked for");
    for (int i = 0; i < PLACES; i++)
        free(places[i].start), places[i].start = NULL;
    double took = now() - begun;
    printf("soak: %lu operations (%.0f a second), %lu threads, %lu forks, %lu live leak checks, "
           "%lu refused, %d lost on purpose; resident %zu KiB after 8 rounds, %zu KiB at most\n",
           atomic_load(&operations), atomic_load(&operations) / took, atomic_load(&threads),
           atomic_load(&forks), atomic_load(&checks), atomic_load(&refused), atomic_load(&lost),
           settled / 1024, peak / 1024);
    if (peak > settled * 2 + (64 << 20))
        complain("memory grows without end");
    fflush(stdout);
    return atomic_load(&failures) ? 1 : 0;
}
