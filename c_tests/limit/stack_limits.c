// crime: an unlimited, a tiny and a huge stack limit change nothing in the verdict
// origin: legacy memory layout of ulimit -s unlimited, scenarios.md 2 row 28
// case: unlimited | -1 lose   | leak definite 1 blocks 32 bytes frame 0 make_block
// case: tiny      | 128 lose  | leak definite 1 blocks 32 bytes frame 0 make_block
// case: huge      | 4194304 lose | leak definite 1 blocks 32 bytes frame 0 make_block
// case: innocent  | -1 free   | silent
#include "scenario.h"
#include <sys/resource.h>

static NOINLINE void *make_block(void) { return malloc(32); }

int main(int argc, char **argv) {
    if (!getenv("C_TEST_AGAIN")) {
        long kib = atol(argv[1]);
        struct rlimit limit;
        limit.rlim_cur = limit.rlim_max = kib < 0 ? RLIM_INFINITY : (rlim_t)kib << 10;
        setenv("C_TEST_AGAIN", "1", 1);
        CHECK(setrlimit(RLIMIT_STACK, &limit) == 0);
        execv("/proc/self/exe", argv);
        CHECK(!"exec");
    }
    void *block = make_block();
    if (!strcmp(argv[2], "free")) free(block);
    lose(&block);
    scrub_stack();
    return 0;
}
