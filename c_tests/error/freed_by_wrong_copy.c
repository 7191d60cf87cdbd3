// crime: an address freed at A and allocated again at B is freed by a stale pointer
// origin: issue 3 (3), scenarios.md 3: after reuse the new owner's block is released; its second free is a double free
// options: quarantine_mb=0
// case: crime    | 1 | abort double-free size 64 frame 0 owner_frees
// case: innocent | 0 | silent
#include "scenario.h"

static NOINLINE void *make_again(void) { return malloc(64); }
static NOINLINE void stale_free(void *block) { free(block); }
static NOINLINE void owner_frees(void *block) { free(block); }

int main(int argc, char **argv) {
    void *stale = opaque(malloc(64));
    static void *others[100000];
    int count = 0;
    free(stale);
    void *again = NULL;
    /* Allocate until the very same slot comes back. */
    while (count < 100000 && again != stale) others[count++] = again = opaque(make_again());
    if (again == stale) {
        if (atoi(argv[1])) stale_free(stale);
        owner_frees(again);
        count--;
    } else if (atoi(argv[1])) {
        /* A heap that never reuses it can still tell the plain double free. */
        owner_frees(stale);
    }
    for (int i = 0; i < count; i++) free(others[i]);
    return 0;
}
