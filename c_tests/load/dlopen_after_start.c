// innocent: the library loaded by dlopen after start is refused with a clear error; the program goes on
// origin: issue 2, jemalloc 937, mimalloc 147
// link: none
// report: off
// baseline: no
// case: refused | {lib} | exit 0; stdout "refused"
#include "scenario.h"
#include <dlfcn.h>

int main(int argc, char **argv) {
    void *before = opaque(malloc(100));
    void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    const char *why = library ? NULL : dlerror();
    if (!library) {
        CHECK(why != NULL && strlen(why) > 10);
        printf("refused: %s\n", why);
    }
    free(before);
    free(opaque(malloc(50)));
    return 0;
}
