// crime: malloc(-8) fails, the program uses the result all the same: the warning is out before it dies
// origin: issue 3 (8)
// baseline: no
// case: fault    | fault | warning allocation-size-too-big count 1 frame 0 ask message "malloc(-8)"; signal SIGSEGV
// case: crime    | twice | warning allocation-size-too-big count 1 frame 0 ask message "malloc(-8)"; abort double-free size 64
// case: innocent | none  | silent
#include "scenario.h"

static NOINLINE char *ask(size_t size) { return malloc(size); }

int main(int argc, char **argv) {
    void *block = opaque(malloc(64));
    if (!strcmp(argv[1], "none")) {
        free(opaque(ask(8)));
    } else {
        char *nothing = ask(opaque_size((size_t)-8));
        if (!strcmp(argv[1], "fault")) *(volatile char *)nothing = 1;
    }
    free(block);
    if (!strcmp(argv[1], "twice")) free(block);
    return 0;
}
