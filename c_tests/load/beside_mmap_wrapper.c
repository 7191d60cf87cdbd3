// innocent: another preloaded library wraps mmap with dlsym(RTLD_NEXT), which allocates
// origin: redhook 15, jemalloc 329, LOAD-02
// link: preload
// plugin: wrapper plugin_mmap_wrapper.c -ldl
// preload-after: {wrapper}
// expect: silent
#include "scenario.h"
#include <sys/mman.h>

int main(void) {
    for (int i = 0; i < 100; i++) {
        char *block = malloc(500000);
        block[0] = 1;
        void *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        CHECK(page != MAP_FAILED && munmap(page, 4096) == 0);
        free(opaque(block));
    }
    return 0;
}
