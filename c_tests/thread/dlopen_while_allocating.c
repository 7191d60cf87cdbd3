// innocent: libraries with thread-local storage are opened and closed while threads allocate
// origin: gperftools 1080 (loader lock), agnocast 1325, LLVM libdl_deadlock, LOAD-03
// plugin: plugin plugin_tls.c
// args: {plugin}
// expect: silent
#include "scenario.h"
#include <dlfcn.h>
#include <pthread.h>

static volatile int stop;

static void *body(void *unused) {
    while (!stop) {
        void *block = opaque(malloc(100));
        block = opaque(realloc(block, 3000));
        free(block);
    }
    return unused;
}

int main(int argc, char **argv) {
    pthread_t threads[16];
    for (int i = 0; i < 16; i++) CHECK(pthread_create(&threads[i], NULL, body, NULL) == 0);
    for (int i = 0; i < 100; i++) {
        void *plugin = dlopen(argv[1], RTLD_NOW);
        CHECK(plugin != NULL);
        void *(*make)(size_t) = (void *(*)(size_t))dlsym(plugin, "plugin_make");
        CHECK(make != NULL);
        void *block = make(100);
        CHECK(dlclose(plugin) == 0);
        free(block);
    }
    stop = 1;
    for (int i = 0; i < 16; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    return 0;
}
