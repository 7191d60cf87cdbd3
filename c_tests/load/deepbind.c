// innocent: a plugin opened with RTLD_DEEPBIND allocates and the program frees
// origin: tcmalloc 129, gperftools 1148, LOAD-05
// link: preload
// plugin: plugin plugin_makes_blocks.c
// note: a foreign block is named, or the flag is cleared and all goes well; never a crash
// case: own-free    | {plugin} own  | silent
#include "scenario.h"
#include <dlfcn.h>

int main(int argc, char **argv) {
    void *plugin = dlopen(argv[1], RTLD_NOW | RTLD_DEEPBIND);
    CHECK(plugin != NULL);
    void *(*make)(size_t) = (void *(*)(size_t))dlsym(plugin, "plugin_make");
    void (*release)(void *) = (void (*)(void *))dlsym(plugin, "plugin_release");
    CHECK(make && release);
    for (int i = 0; i < 100; i++) release(make((size_t)i * 100));
    return 0;
}
