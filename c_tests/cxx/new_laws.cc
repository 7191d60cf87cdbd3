// innocent: new of no bytes is unique, arrays of impossible length throw, aligned types are aligned
// origin: C++ [new.delete], mimalloc new tests, snmalloc new
// flags: -std=c++17
// expect: any warning
// expect: exit 0
#include "scenario.h"
#include <new>
#include <vector>

struct alignas(64) Wide { char bytes[64]; };
struct alignas(4096) Page { char bytes[4096]; };

struct Own {
    static int made, released;
    long value = 7;
    static void *operator new(size_t size) { made++; return malloc(size); }
    static void operator delete(void *block) { released++; free(block); }
};
int Own::made, Own::released;

int main() {
    void *first = operator new(opaque_size(0));
    void *second = operator new(opaque_size(0));
    CHECK(first && second && first != second);
    operator delete(first);
    operator delete(second);
    operator delete(nullptr);
    operator delete[](nullptr);
    bool thrown = false;
    try {
        opaque(new Wide[opaque_size(SIZE_MAX / 32)]);
    } catch (const std::bad_alloc &) {
        thrown = true;
    }
    CHECK(thrown);
    std::vector<Wide> wide(100);
    for (const Wide &one : wide) CHECK(reinterpret_cast<uintptr_t>(&one) % 64 == 0);
    Page *page = static_cast<Page *>(opaque(new Page));
    CHECK(reinterpret_cast<uintptr_t>(page) % 4096 == 0);
    delete page;
    Page *pages = static_cast<Page *>(opaque(new Page[3]));
    CHECK(reinterpret_cast<uintptr_t>(pages) % 4096 == 0);
    delete[] pages;
    delete static_cast<Own *>(opaque(new Own));
    CHECK(Own::made == 1 && Own::released == 1);
    return 0;
}
