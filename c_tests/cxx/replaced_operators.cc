// innocent: a program with its own operator new and delete on top of malloc
// origin: mimalloc main-override, jemalloc cpp
// flags: -std=c++17
// expect: silent
#include "scenario.h"
#include <new>
#include <string>
#include <vector>

static int made, released;

void *operator new(size_t size) {
    made++;
    void *block = malloc(size ? size : 1);
    if (!block) throw std::bad_alloc();
    return block;
}

void operator delete(void *block) noexcept {
    if (block) released++;
    free(block);
}

void operator delete(void *block, size_t) noexcept {
    if (block) released++;
    free(block);
}

int main() {
    {
        std::vector<std::string> names;
        for (int i = 0; i < 100; i++) names.emplace_back(100, 'n');
    }
    CHECK(made > 100 && made == released);
    return 0;
}
