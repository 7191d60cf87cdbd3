// innocent: blocks still held at exit are reported only when asked for, and change no exit code
// origin: interface.md 2 (show_leak_kinds), Valgrind "still reachable"
// case: default  | 3 | silent
// case: shown    | 3 | leak reachable 3 blocks 96 bytes frame 0 make_block; any leak reachable; exit 0
// options: show_leak_kinds=all
// case: shown-and-counted | 3 | leak reachable 3 blocks 96 bytes frame 0 make_block; any leak reachable; exit 23
// options: show_leak_kinds=all:errors_for_leak_kinds=definite,reachable
#include "scenario.h"

static void *volatile held[10];

static NOINLINE void *make_block(void) { return malloc(32); }

int main(int argc, char **argv) {
    for (int i = 0; i < atoi(argv[1]); i++) held[i] = make_block();
    return 0;
}
