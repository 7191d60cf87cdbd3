// innocent: a program with a static libstdc++ and a plugin with the shared one delete each other's objects
// origin: issue 3 (6), "so that nobody innocent is accused"
// plugin: plugin plugin_objects_maker.cc
// link: preload
// flags: -std=c++17 -static-libstdc++ -static-libgcc
// case: theirs      | {plugin} theirs | silent
// case: ours        | {plugin} ours   | silent
// case: crime-free  | {plugin} free   | abort alloc-dealloc-mismatch frame 0 release_wrongly
#include "scenario.h"
#include <dlfcn.h>
#include <string>

extern "C" NOINLINE void release_wrongly(void *object) { free(object); __asm__ volatile(""); }

int main(int argc, char **argv) {
    void *plugin = dlopen(argv[1], RTLD_NOW);
    CHECK(plugin != nullptr);
    auto make = reinterpret_cast<void *(*)(size_t)>(dlsym(plugin, "make_bytes"));
    auto release = reinterpret_cast<void (*)(void *)>(dlsym(plugin, "release_bytes"));
    CHECK(make && release);
    if (!strcmp(argv[2], "theirs")) operator delete(opaque(make(100)));
    if (!strcmp(argv[2], "ours")) release(opaque(operator new(100)));
    if (!strcmp(argv[2], "free")) release_wrongly(opaque(make(100)));
    return 0;
}
