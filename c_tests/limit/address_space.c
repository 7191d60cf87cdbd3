// innocent: under ulimit -v every function fails with ENOMEM at the limit, and freed memory can be had again
// origin: scenarios.md 2 row 28, OOM-02, glibc tst-malloc-thread-fail, OpenBSD malloc_ulimit
// case: as-300M   | as 300   | any exhaustion; any warning; exit 0
// case: as-100M   | as 100   | any exhaustion; any warning; exit 0
// case: data-100M | data 100 | any exhaustion; any warning; exit 0
// note: the limit is set before the library starts: the program executes itself
#include "scenario.h"
#include <malloc.h>
#include <sys/resource.h>

#define MOST 2000
static char *blocks[MOST];

static int exhaust(size_t size) {
    int count = 0;
    while (count < MOST) {
        errno = 0;
        blocks[count] = malloc(size);
        if (!blocks[count]) break;
        blocks[count][0] = blocks[count][size - 1] = 1;
        count++;
    }
    CHECK(count < MOST && count > 0);
    CHECK(errno == ENOMEM);
    return count;
}

int main(int argc, char **argv) {
    if (!getenv("C_TEST_AGAIN")) {
        struct rlimit limit;
        limit.rlim_cur = limit.rlim_max = (rlim_t)atoi(argv[2]) << 20;
        setenv("C_TEST_AGAIN", "1", 1);
        CHECK(setrlimit(strcmp(argv[1], "as") ? RLIMIT_DATA : RLIMIT_AS, &limit) == 0);
        execv("/proc/self/exe", argv);
        CHECK(!"exec");
    }
    for (int round = 0; round < 3; round++) {
        int count = exhaust(1 << 20);
        /* At least half of what is allowed can be had, every time. */
        CHECK(count > atoi(argv[2]) / 3);
        void *block = NULL;
        errno = 0;
        CHECK(calloc(1, 64 << 20) == NULL && errno == ENOMEM);
        errno = 0;
        CHECK(memalign(4096, 64 << 20) == NULL && errno == ENOMEM);
        CHECK(posix_memalign(&block, 4096, 64 << 20) == ENOMEM && block == NULL);
        errno = 0;
        CHECK(valloc(64 << 20) == NULL && errno == ENOMEM);
        errno = 0;
        char *same = realloc(blocks[0], 64 << 20);
        CHECK(same == NULL && errno == ENOMEM && blocks[0][0] == 1);
        for (int i = 0; i < count; i++) free(blocks[i]);
    }
    return 0;
}
