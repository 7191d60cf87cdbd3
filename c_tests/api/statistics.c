// innocent: mallinfo2, mallinfo, malloc_info, malloc_stats, malloc_trim and mallopt answer sensibly
// origin: glibc tst-mallinfo2 tst-malloc_info tst-trim1, hardened_malloc mallinfo{,2} malloc_info, scudo MallInfo MallOpt
// expect: silent
// expect: exit 0
// expect: stdout "<malloc"
#include "scenario.h"
#include <malloc.h>

static void *blocks[1000];

int main(void) {
    struct mallinfo2 before = mallinfo2();
    for (int i = 0; i < 1000; i++) blocks[i] = opaque(malloc(1000));
    struct mallinfo2 during = mallinfo2();
    CHECK(during.uordblks >= before.uordblks + 1000 * 1000);
    CHECK(during.uordblks < before.uordblks + 1000 * 4000);
    for (int i = 0; i < 1000; i++) free(blocks[i]);
    struct mallinfo2 after = mallinfo2();
    CHECK(after.uordblks < during.uordblks);
    struct mallinfo old = mallinfo();
    CHECK(old.uordblks >= 0);
    CHECK(mallopt(M_MMAP_THRESHOLD, 1 << 20) == 1);
    CHECK(mallopt(M_TRIM_THRESHOLD, 1 << 20) == 1);
    malloc_trim(0);
    CHECK(malloc_info(0, stdout) == 0);
    CHECK(malloc_info(1, stdout) != 0);
    return 0;
}
