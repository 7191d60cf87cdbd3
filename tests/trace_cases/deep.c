// case: recursion far deeper than any path is kept
// expect: truncated
#include <stdlib.h>

__attribute__((noinline)) static int deep(int depth) {
    void *volatile block = depth % 16 == 0 ? malloc(16) : 0;
    int below = depth ? deep(depth - 1) : 0;
    free(block);
    block = depth % 8 == 0 ? malloc(8) : 0;
    free(block);
    return below + 1;
}
__attribute__((noinline)) static int tree(int depth) {
    free(malloc(8));
    return depth ? tree(depth - 1) + tree(depth - 2 < 0 ? 0 : depth - 2) : 1;
}
int main(void) { return deep(3000) + tree(14) == 0; }
