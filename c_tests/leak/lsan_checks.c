// crime: a leak check asked for by the program, more than once
// origin: LLVM recoverable_leak_check, do_leak_check, interface.md 5
// baseline: no
// expect: any summary
// case: nothing-yet   | clean  | silent
// case: recoverable   | once   | leak definite 1 blocks 1337 bytes; any leak definite; exit 23
// case: freed-later   | freed  | silent
#include "scenario.h"
#include <dlfcn.h>

extern int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

static int (*check)(void);
static void *volatile kept;

static NOINLINE void *make_block(void) { return malloc(1337); }

static NOINLINE void lose_one(void) {
    void *block = make_block();
    lose(&block);
}

int main(int argc, char **argv) {
    check = __lsan_do_recoverable_leak_check;
    if (!check) check = (int (*)(void))dlsym(RTLD_DEFAULT, "__lsan_do_recoverable_leak_check");
    CHECK(check != NULL);
    kept = make_block();
    scrub_stack();
    CHECK(check() == 0);
    if (!strcmp(argv[1], "once")) {
        lose_one();
        scrub_stack();
        CHECK(check() != 0);
        CHECK(kept != NULL);
    }
    if (!strcmp(argv[1], "freed")) {
        free(kept);
        kept = NULL;
        CHECK(check() == 0);
    }
    scrub_stack();
    return 0;
}
