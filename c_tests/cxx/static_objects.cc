// crime: static objects: what their destructors free is no leak, what they lose is one
// origin: scenarios.md 2 rows 1, 12 and 13, EXIT-01, EXIT-02
// case: innocent | keep | silent
// case: crime    | lose | leak definite 1 blocks 77 bytes frame 0 lose_block
#include "scenario.h"
#include <string>
#include <vector>

static bool losing;

extern "C" NOINLINE void lose_block() {
    void *block = malloc(77);
    lose(&block);
}

struct Owner {
    std::vector<std::string> names;
    char *raw;
    Owner() : names(100, std::string(50, 'n')), raw(static_cast<char *>(malloc(500))) {}
    ~Owner() {
        free(raw);
        names.emplace_back(1000, 'z');
        if (losing) lose_block();
    }
};

static Owner owner;
static std::string text(2000, 't');

int main(int argc, char **argv) {
    losing = !strcmp(argv[1], "lose");
    return 0;
}
