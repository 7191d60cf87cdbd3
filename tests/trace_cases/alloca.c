// case: frames of changing size, and old stack contents that look like frames
// expect: complete
#include <alloca.h>
#include <stdlib.h>
#include <string.h>

static unsigned seed = 1;
static unsigned draw(unsigned below) { return (seed = seed * 1103515245 + 12345) / 65536 % below; }
volatile char sink;

// Recursion through one call site, with memory on the stack that is never
// cleared: the return addresses of earlier, deeper calls lie in it.
__attribute__((noinline)) void descend(int depth) {
    char *room = alloca(draw(2) ? 16 + 16 * draw(24) : 64);
    sink += room[draw(16)];
    free(malloc(24));
    if (depth) descend(depth - 1);
    sink += room[0];
    free(malloc(40));
}
__attribute__((noinline)) void other(int depth) {
    char room[1 + draw(300)];
    room[0] = 1;
    if (depth & 1) descend(depth / 2);
    else if (depth) other(depth - 1);
    sink += room[0];
    free(malloc(8));
}
int main(void) {
    for (int round = 0; round < 400; round++) {
        if (draw(2)) descend(draw(20)); else other(draw(20));
    }
}
