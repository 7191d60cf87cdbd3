// crime: with guard_sample=N one block in N has guard pages: a read too far, done often, is caught at the instruction
// origin: issue 3 (5), GWP-ASan
// case: read-past-end  | 64 often | error heap-buffer-overflow size 64 offset 64 frame 0 look allocated 0 make_block; signal SIGSEGV
// options: guard_sample=100
// case: rarely         | 64 often | error heap-buffer-overflow size 64 offset 64 frame 0 look allocated 0 make_block; signal SIGSEGV
// options: guard_sample=20
// case: innocent       | 63 often | silent
// options: guard_sample=100
// case: innocent-all   | 63 often | silent
// options: guard_sample=1
#include "scenario.h"

static NOINLINE char *make_block(void) { return malloc(64); }
static NOINLINE void look(const char *block, size_t at) { opaque_size((size_t)((volatile const char *)block)[at]); }

int main(int argc, char **argv) {
    size_t at = size_argument(argv[1]);
    for (int i = 0; i < 50000; i++) {
        char *block = opaque(make_block());
        look(block, at);
        free(block);
    }
    return 0;
}
