// innocent: the library starts with almost no address space left over and serves what there is
// origin: scenarios.md 2 rows 28 and 29 (halve and retry reservations), glibc tst-malloc-alternate-path
// case: as-40M  | 40  | any exhaustion; exit 0
// case: as-64M  | 64  | any exhaustion; exit 0
// case: as-1G   | 1024 | any exhaustion; exit 0
#include "scenario.h"
#include <sys/resource.h>

int main(int argc, char **argv) {
    if (!getenv("C_TEST_AGAIN")) {
        struct rlimit limit;
        limit.rlim_cur = limit.rlim_max = (rlim_t)atoi(argv[1]) << 20;
        setenv("C_TEST_AGAIN", "1", 1);
        CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
        execv("/proc/self/exe", argv);
        CHECK(!"exec");
    }
    char *blocks[500];
    for (int i = 0; i < 500; i++) {
        blocks[i] = malloc((size_t)i * 10 + 1);
        CHECK(blocks[i] != NULL);
        blocks[i][i * 10] = 1;
    }
    for (int i = 0; i < 500; i++) free(blocks[i]);
    return 0;
}
