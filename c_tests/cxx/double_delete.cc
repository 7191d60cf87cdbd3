// crime: objects deleted twice, in every form
// origin: hardened_malloc, LLVM double_free, double_free_sized
// case: delete    | 1 twice | abort double-free size 40 has-frame second has-freed first
// case: delete[]  | 2 twice | abort double-free size 400 has-frame second
// case: string    | 3 twice | abort double-free has-frame second
// case: innocent-delete   | 1 once | silent
// case: innocent-delete[] | 2 once | silent
// case: innocent-string   | 3 once | silent
#include "scenario.h"
#include <string>

struct Thing { char bytes[40]; };

extern "C" NOINLINE void first(Thing *one, Thing *many, std::string *text) {
    delete one;
    delete[] many;
    if (text) text->~basic_string();
}

extern "C" NOINLINE void second(Thing *one, Thing *many, std::string *text) {
    delete one;
    delete[] many;
    if (text) text->~basic_string();
}

int main(int argc, char **argv) {
    int which = atoi(argv[1]);
    alignas(std::string) char room[sizeof(std::string)];
    Thing *one = which == 1 ? static_cast<Thing *>(opaque(new Thing)) : nullptr;
    Thing *many = which == 2 ? static_cast<Thing *>(opaque(new Thing[10])) : nullptr;
    std::string *text = which == 3 ? new (room) std::string(500, 'x') : nullptr;
    first(one, many, static_cast<std::string *>(opaque(text)));
    if (!strcmp(argv[2], "twice")) second(one, many, static_cast<std::string *>(opaque(text)));
    return 0;
}
