// crime: cycles of shared pointers, throwing constructors, singletons and names of every kind
// origin: interface.md 4, issue 2 (8: demangled names)
// flags: -std=c++17
// case: shared-cycle | 1 | leak definite 1 blocks 40 bytes has-frame make_cycle; leak indirect 1 blocks 40 bytes has-frame make_cycle
// case: method       | 2 | leak definite 1 blocks 24 bytes has-frame "space::Maker<int>::make" has-frame main
// case: lambda       | 3 | leak definite 1 blocks 24 bytes has-frame call_lambda
// case: free-function | 4 | leak definite 1 blocks 24 bytes has-frame "(anonymous namespace)::hidden(int, char const*)"
// case: innocent-throwing | 5 | silent
// case: innocent-singleton | 6 | silent
// case: innocent-placement | 7 | silent
#include "scenario.h"
#include <memory>
#include <new>
#include <stdexcept>

struct Node {
    std::shared_ptr<Node> other;
    long value = 0;
};

extern "C" NOINLINE void make_cycle() {
    auto first = std::make_shared<Node>();
    auto second = std::make_shared<Node>();
    first->other = second;
    second->other = first;
}

namespace space {
template <class T> struct Maker {
    NOINLINE void *make() { return new char[24]; }
};
} // namespace space

namespace {
NOINLINE void *hidden(int, const char *) { return new char[24]; }
} // namespace

extern "C" NOINLINE void call_lambda() {
    auto make = [](int n) { return new char[24 + n]; };
    void *block = make(static_cast<int>(opaque_size(0)));
    lose(&block);
}

struct Throwing {
    char bytes[1000];
    Throwing() { throw std::runtime_error("in the constructor"); }
};

struct Singleton {
    static Singleton &get() {
        static Singleton *only = new Singleton;
        return *only;
    }
    long uses = 0;
};

int main(int argc, char **argv) {
    int which = atoi(argv[1]);
    void *block = nullptr;
    if (which == 1) make_cycle();
    if (which == 2) block = space::Maker<int>().make();
    if (which == 3) call_lambda();
    if (which == 4) block = hidden(1, "x");
    if (which == 5)
        for (int i = 0; i < 10; i++) {
            try {
                opaque(new Throwing);
            } catch (const std::runtime_error &) {
            }
        }
    if (which == 6) Singleton::get().uses++;
    if (which == 7) {
        alignas(Node) static char room[sizeof(Node)];
        Node *node = new (room) Node;
        node->~Node();
    }
    lose(&block);
    scrub_stack();
    return 0;
}
