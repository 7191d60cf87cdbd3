// innocent: blocks held by thread-local storage of a library opened later, of main and of a live thread
// origin: LLVM use_tls_dynamic, engine.md C 3 (dynamic TLS)
// plugin: plugin plugin_tls.c
// args: {plugin}
// expect: silent
#include "scenario.h"
#include <dlfcn.h>
#include <pthread.h>

static void **(*plugin_slot)(void);
static pthread_barrier_t ready;

static NOINLINE void fill(void) { *plugin_slot() = malloc(1337); }

static void *live_thread(void *unused) {
    fill();
    scrub_stack();
    pthread_barrier_wait(&ready);
    for (;;) pause();
    return unused;
}

int main(int argc, char **argv) {
    pthread_t thread;
    void *plugin = dlopen(argv[1], RTLD_NOW);
    CHECK(plugin != NULL);
    plugin_slot = (void **(*)(void))dlsym(plugin, "plugin_slot");
    CHECK(plugin_slot != NULL);
    fill();
    CHECK(pthread_barrier_init(&ready, NULL, 2) == 0);
    CHECK(pthread_create(&thread, NULL, live_thread, NULL) == 0);
    pthread_barrier_wait(&ready);
    scrub_stack();
    return 0;
}
