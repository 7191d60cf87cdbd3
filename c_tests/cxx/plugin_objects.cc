// innocent: a C++ plugin makes objects, the program deletes them, and the plugin is closed
// origin: mimalloc 809 (key destructor of an unloaded library), bytehound dlopen
// plugin: plugin plugin_objects_maker.cc
// args: {plugin}
// expect: silent
#include "scenario.h"
#include <dlfcn.h>
#include <string>
#include <thread>

int main(int argc, char **argv) {
    for (int i = 0; i < 20; i++) {
        void *plugin = dlopen(argv[1], RTLD_NOW);
        CHECK(plugin != nullptr);
        auto make = reinterpret_cast<std::string *(*)(int)>(dlsym(plugin, "make_text"));
        CHECK(make != nullptr);
        std::string *text = make(i);
        CHECK(text->size() == 1000u + static_cast<unsigned>(i));
        delete text;
        std::thread thread([make] { delete make(5); });
        thread.join();
        CHECK(dlclose(plugin) == 0);
    }
    return 0;
}
