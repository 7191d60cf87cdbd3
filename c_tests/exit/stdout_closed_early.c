// innocent: a program that closes all descriptors before it ends keeps its exit code
// origin: bytehound exit paths, daemons
// expect: exit 3
// expect: silent
#include "scenario.h"

int main(void) {
    free(opaque(malloc(100)));
    for (int i = 0; i < 64; i++) close(i);
    return 3;
}
