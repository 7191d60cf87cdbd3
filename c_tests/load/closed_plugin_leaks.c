// crime: a leak made inside a plugin that has been closed since still names its function
// origin: sanitizers 89 318 899, engine.md C 4 (2), issue 2
// plugin: plugin plugin_makes_blocks.c
// case: crime    | {plugin} lose | leak definite 1 blocks 123 bytes frame 0 plugin_make frame 1 main
// case: innocent | {plugin} free | silent
#include "scenario.h"
#include <dlfcn.h>

int main(int argc, char **argv) {
    void *plugin = dlopen(argv[1], RTLD_NOW);
    CHECK(plugin != NULL);
    void *(*make)(size_t) = (void *(*)(size_t))dlsym(plugin, "plugin_make");
    CHECK(make != NULL);
    void *block = make(123);
    CHECK(dlclose(plugin) == 0);
    if (!strcmp(argv[2], "free")) free(block);
    lose(&block);
    scrub_stack();
    return 0;
}
