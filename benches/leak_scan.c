/* A live leak check on a large heap: how long are threads held, how fast is
   the heap read, what does it cost?

     leak_scan MIB BLOCK THREADS

   builds a random graph of MIB mebibytes of BLOCK-byte blocks (one word in
   four is a pointer to another block), lets THREADS threads count as fast as
   they can, and asks for a check in a further thread. It prints one line:

     mib block threads | wall ms | longest gap of a counting thread ms | cpu ms

   Built with heapwarden it calls heapwarden_check_leaks(); built with
   -fsanitize=leak, LeakSanitizer's recoverable check. benches/leak_scan.sh
   runs both. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#ifdef __SANITIZE_LEAK__
#define USE_LSAN
#endif
#ifdef USE_LSAN
extern int __lsan_do_recoverable_leak_check(void);
#define check __lsan_do_recoverable_leak_check
#else
extern int heapwarden_check_leaks(void);
#define check heapwarden_check_leaks
#endif

void ***volatile blocks_of_all; /* keeps them reachable */
static void ***blocks;
static size_t count;
static volatile int stop;

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static uint64_t cpu(void) {
    uint64_t sum = 0;
    for (int who = 0; who < 2; who++) {
        struct rusage usage;
        getrusage(who ? RUSAGE_CHILDREN : RUSAGE_THREAD, &usage);
        sum += (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000ull;
        sum += (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000ull;
    }
    return sum;
}

static void *counting(void *longest) {
    uint64_t last = now(), worst = 0;
    while (!stop) {
        uint64_t time = now();
        if (time - last > worst) worst = time - last;
        last = time;
    }
    *(uint64_t *)longest = worst;
    return NULL;
}

static void *checking(void *result) {
    uint64_t *numbers = result;
    uint64_t begun = now(), spent = cpu();
    numbers[2] = check();
    numbers[0] = now() - begun;
    numbers[1] = cpu() - spent;
    return NULL;
}

int main(int argc, char **argv) {
    if (argc < 4) return 2;
    size_t mib = strtoul(argv[1], 0, 0), block = strtoul(argv[2], 0, 0);
    int threads = atoi(argv[3]);
    count = (mib << 20) / block;
    blocks = malloc(count * sizeof *blocks);
    for (size_t i = 0; i < count; i++) blocks[i] = calloc(1, block);
    blocks_of_all = blocks;
    uint64_t noise = 88172645463325252ull;
    for (size_t i = 0; i < count; i++)
        for (size_t word = 0; word < block / 8; word += 4) {
            noise ^= noise << 13, noise ^= noise >> 7, noise ^= noise << 17;
            blocks[i][word] = blocks[noise % count];
        }
    pthread_t counters[64], checker;
    uint64_t longest[64] = {0}, result[3], worst = 0;
    for (int i = 0; i < threads; i++) pthread_create(&counters[i], 0, counting, &longest[i]);
    struct timespec pause = {0, 100000000};
    nanosleep(&pause, 0);
    pthread_create(&checker, 0, checking, result);
    pthread_join(checker, 0);
    stop = 1;
    for (int i = 0; i < threads; i++) {
        pthread_join(counters[i], 0);
        if (longest[i] > worst) worst = longest[i];
    }
    printf("%zu %zu %d | %.1f | %.2f | %.1f%s\n", mib, block, threads, result[0] / 1e6, worst / 1e6,
           result[1] / 1e6, result[2] ? " | leaks found" : "");
    fflush(stdout);
    _Exit(0);
}
