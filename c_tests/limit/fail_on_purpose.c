// innocent: fail_nth, fail_every and fail_after make chosen allocations fail, and a careful program survives
// origin: interface.md 2, Zig FailingAllocator, failmalloc
// baseline: no
// case: nth   | nth   | any exhaustion; any notice; exit 0
// options: fail_nth=30
// case: every | every | any exhaustion; any notice; exit 0
// options: fail_every=10
// case: after | after | any exhaustion; any notice; exit 0
// options: fail_after=50
// case: never | never | silent
#include "scenario.h"

int main(int argc, char **argv) {
    int failed = 0, first = 0, last_ok = 0;
    for (int i = 1; i <= 200; i++) {
        errno = 0;
        void *block = opaque(malloc(10));
        if (!block) {
            CHECK(errno == ENOMEM);
            failed++;
            if (!first) first = i;
        } else last_ok = i;
        free(block);
    }
    if (!strcmp(argv[1], "nth")) CHECK(failed == 1 && first <= 30);
    if (!strcmp(argv[1], "every")) CHECK(failed == 20);
    if (!strcmp(argv[1], "after")) CHECK(failed >= 150 && last_ok < first);
    if (!strcmp(argv[1], "never")) CHECK(failed == 0);
    return 0;
}
