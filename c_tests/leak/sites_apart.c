// crime: each call site has its own record, with its own line and its callers
// origin: interface.md 4, hidden duplicates of LeakSanitizer
// case: three-sites | 3 | leak definite 2 blocks 20 bytes frame 0 make @first frame 1 scene; leak definite 1 blocks 20 bytes frame 0 make @second; leak definite 4 blocks 120 bytes frame 0 make @third
// case: innocent    | 0 | silent
#include "scenario.h"

static NOINLINE void *make(int which) {
    if (which == 1) return malloc(10); /* @first */
    if (which == 2) return malloc(20); /* @second */
    return malloc(30); /* @third */
}

static NOINLINE void scene(int which, int count) {
    for (int i = 0; i < count; i++) {
        void *block = make(which);
        lose(&block);
    }
}

int main(int argc, char **argv) {
    if (atoi(argv[1])) {
        scene(1, 2);
        scene(2, 1);
        scene(3, 4);
    }
    scrub_stack();
    return 0;
}
