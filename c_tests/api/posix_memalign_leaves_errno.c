// innocent: posix_memalign returns its error and leaves errno and the pointer alone
// origin: POSIX, scenarios.md 2 row 18, mimalloc posix_memalign_nomem
// note: glibc's own sets errno when it runs out
// baseline: no
// expect: any warning
// expect: exit 0
#include "scenario.h"

int main(void) {
    void *pointer = &pointer;
    errno = 1789;
    CHECK(posix_memalign(&pointer, 64, opaque_size(SIZE_MAX - 100)) == ENOMEM);
    CHECK(pointer == &pointer && errno == 1789);
    CHECK(posix_memalign(&pointer, opaque_size(24), 100) == EINVAL);
    CHECK(pointer == &pointer && errno == 1789);
    CHECK(posix_memalign(&pointer, 64, 100) == 0);
    CHECK(pointer != &pointer && errno == 1789);
    free(pointer);
    return 0;
}
