// case: modules closed, and others opened at the same addresses
// expect: complete
// flags: -O2
// plugin: two shared objects of the same size whose functions have different frames
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

static void leaf(int depth) {
    free(malloc(16));
    if (depth) leaf(depth - 1);
}
int main(int count, char **arguments) {
    if (count < 3) return 2;
    for (int round = 0; round < 300; round++) {
        void *handle = dlopen(arguments[1 + round % 2], RTLD_NOW | RTLD_LOCAL);
        if (!handle) return fprintf(stderr, "%s\n", dlerror()), 3;
        void (*run)(void (*)(int), int) = (void (*)(void (*)(int), int))dlsym(handle, "run");
        run(leaf, round % 5);
        run(leaf, round % 3);
        dlclose(handle);
        leaf(2);
    }
}
