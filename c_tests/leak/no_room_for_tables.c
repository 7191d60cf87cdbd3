// crime: memory is lost, and then ulimit refuses the program every further byte: a check finds room for its tables all the same
// origin: engine.md C 6 (warn and do without where memory is refused), scenarios.md 2 row 28
// note: the limit is set before the library starts: the program executes itself; live checks come while all is used up
// each: frame 0 make_block
// case: space-exit | as 100 lose exit     | leak definite 1 blocks 56 bytes; leak indirect 1 blocks 40 bytes; any exhaustion; any warning; exit 23
// case: space-live | as 100 lose live     | any leak; leak definite 1 blocks 56 bytes; any exhaustion; any warning; any notice; any summary; exit 23
// case: data-exit  | data 100 lose exit   | leak definite 1 blocks 56 bytes; leak indirect 1 blocks 40 bytes; any exhaustion; any warning; exit 23
// case: data-live  | data 100 lose live   | any leak; leak definite 1 blocks 56 bytes; any exhaustion; any warning; any notice; any summary; exit 23
// case: space-kept | as 100 keep live     | any exhaustion; any warning; any notice; any summary; exit 0
// case: data-kept  | data 100 keep live   | any exhaustion; any warning; any notice; any summary; exit 0
// case: small-kept | as 40 keep exit      | any exhaustion; any warning; exit 0
// case: threads    | as 200 keep threads  | any exhaustion; any warning; any notice; any summary; exit 0
// case: innocent   | none 0 keep exit     | silent
#include "scenario.h"
#include <pthread.h>
#include <sys/resource.h>

extern int heapwarden_check_leaks(void) __attribute__((weak));

static void **kept, **chain;
static volatile int is_over;

static NOINLINE void **make_block(size_t size) { return calloc(1, size); }

/* All that can be had, largest first, each block holding the one before. */
static NOINLINE void use_up(void) {
    for (size_t size = 1 << 20; size >= 48; size /= 4)
        for (void **block; (block = malloc(size)) != NULL; chain = block) *block = chain;
    CHECK(chain != NULL);
}

static void *waits(void *block) {
    void *volatile own = block;
    while (!is_over) usleep(1000);
    return own;
}

int main(int argc, char **argv) {
    CHECK(argc == 5);
    int is_limited = strcmp(argv[1], "none");
    if (is_limited && !getenv("C_TEST_AGAIN")) {
        struct rlimit limit;
        limit.rlim_cur = limit.rlim_max = (rlim_t)atoi(argv[2]) << 20;
        setenv("C_TEST_AGAIN", "1", 1);
        CHECK(setrlimit(strcmp(argv[1], "as") ? RLIMIT_DATA : RLIMIT_AS, &limit) == 0);
        execv("/proc/self/exe", argv);
        CHECK(!"exec");
    }
    int loses = !strcmp(argv[3], "lose");
    kept = make_block(56);
    CHECK(kept != NULL);
    *kept = make_block(40);
    pthread_t threads[3];
    int has_threads = !strcmp(argv[4], "threads");
    for (int i = 0; has_threads && i < 3; i++)
        CHECK(pthread_create(&threads[i], NULL, waits, make_block(24)) == 0);
    if (loses) lose(&kept);
    if (is_limited) use_up();
    if (strcmp(argv[4], "exit") && heapwarden_check_leaks)
        for (int i = 0; i < 3; i++) CHECK(heapwarden_check_leaks() == loses);
    is_over = 1;
    for (int i = 0; has_threads && i < 3; i++) {
        void *block;
        CHECK(pthread_join(threads[i], &block) == 0);
        free(block);
    }
    return 0;
}
