// innocent: operator new calls the new_handler again and again, then throws bad_alloc; nothrow gives null
// origin: hardened_malloc PR 361, sanitizers 295, scenarios.md 2 row 25, CXX-01
// flags: -std=c++17
// expect: any warning
// expect: exit 0
#include "scenario.h"
#include <exception>
#include <new>

static int calls;

static void handler() {
    if (++calls == 5) std::set_new_handler(nullptr);
}

static size_t impossible() { return opaque_size((size_t)1 << 62); }

template <class Function> static bool throws(Function function) {
    try {
        function();
    } catch (const std::bad_alloc &) {
        return true;
    }
    return false;
}

int main() {
    CHECK(throws([] { opaque(operator new(impossible())); }));
    CHECK(throws([] { opaque(operator new[](impossible())); }));
    CHECK(throws([] { opaque(operator new(impossible(), std::align_val_t{64})); }));
    CHECK(operator new(impossible(), std::nothrow) == nullptr);
    CHECK(operator new[](impossible(), std::nothrow) == nullptr);
    CHECK(operator new(impossible(), std::align_val_t{64}, std::nothrow) == nullptr);
    calls = 0;
    std::set_new_handler(handler);
    CHECK(throws([] { opaque(operator new(impossible())); }) && calls == 5);
    calls = 0;
    std::set_new_handler(handler);
    CHECK(operator new(impossible(), std::nothrow) == nullptr && calls == 5);
    CHECK(std::get_new_handler() == nullptr);
    // What the handler throws, nothrow new turns into null ([new.delete.single]).
    std::set_new_handler([] { calls++; throw std::bad_alloc(); });
    calls = 0;
    CHECK(operator new(impossible(), std::nothrow) == nullptr);
    CHECK(operator new[](impossible(), std::nothrow) == nullptr);
    CHECK(operator new(impossible(), std::align_val_t{64}, std::nothrow) == nullptr);
    CHECK(calls == 3 && std::uncaught_exceptions() == 0);
    CHECK(throws([] { opaque(operator new(impossible())); }) && calls == 4);
    std::set_new_handler(nullptr);
    return 0;
}
