/* A plugin with thread-local storage that hands out blocks. */
#include <stdlib.h>

static __thread char area[4000];

void *plugin_make(size_t size) {
    area[0]++;
    return malloc(size + (size_t)area[0]);
}
