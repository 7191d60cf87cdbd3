// crime: with guard pages the fault comes at the very instruction, read or write
// origin: issue 3 (5), GWP-ASan, tcmalloc {Over,Under}flow*Detected, UseAfterFree*Detected, hardened_malloc guard regions
// options: guard_sample=1
// each: frame 0 touch allocated 0 make_block
// case: read-past-end   | 64 64 read     | error heap-buffer-overflow size 64 offset 64; signal SIGSEGV
// case: write-past-end  | 64 64 write    | error heap-buffer-overflow size 64 offset 64; signal SIGSEGV
// case: read-far        | 64 1000 read   | error heap-buffer-overflow size 64 offset 1000; signal SIGSEGV
// case: page-size       | 4096 4096 read | error heap-buffer-overflow size 4096 offset 4096; signal SIGSEGV
// case: large           | 100000 100000 write | error heap-buffer-overflow size 100000 offset 100000; signal SIGSEGV
// case: before          | 4096 -1 read   | error heap-buffer-underflow size 4096 offset -1; signal SIGSEGV
// case: after-free-read  | 64 8 read freed  | error heap-use-after-free size 64 offset 8 freed 0 release; signal SIGSEGV
// case: after-free-write | 64 8 write freed | error heap-use-after-free size 64 offset 8 freed 0 release; signal SIGSEGV
// case: after-free-large | 100000 50000 read freed | error heap-use-after-free size 100000 offset 50000; signal SIGSEGV
// case: innocent         | 64 63 write   | silent
// case: innocent-large   | 100000 99999 read | silent
#include "scenario.h"

static NOINLINE char *make_block(size_t size) { return malloc(size); }
static NOINLINE void release(char *block) { free(block); }

static NOINLINE void touch(char *address, const char *how) {
    volatile char *byte = address;
    if (how[0] == 'r') opaque_size((size_t)*byte);
    else *byte = 1;
}

int main(int argc, char **argv) {
    char *block = opaque(make_block(size_argument(argv[1])));
    block[0] = 1;
    if (argc > 4) release(block);
    touch(opaque(block + atol(argv[2])), argv[3]);
    if (argc <= 4) release(block);
    return 0;
}
