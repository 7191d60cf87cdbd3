// innocent: exceptions allocate and free across threads, and unwinding passes through our callers
// origin: bytehound throw, longjmp
// flags: -std=c++17
// expect: silent
#include "scenario.h"
#include <csetjmp>
#include <exception>
#include <stdexcept>
#include <string>
#include <thread>

static NOINLINE void dive(int depth) {
    std::string local(100, 'd');
    if (depth == 0) throw std::runtime_error("from below " + local);
    dive(depth - 1);
}

int main() {
    for (int i = 0; i < 200; i++) {
        try {
            dive(i % 30);
        } catch (const std::exception &error) {
            CHECK(strlen(error.what()) > 100);
        }
    }
    std::exception_ptr carried;
    std::thread thread([&] {
        try {
            dive(5);
        } catch (...) {
            carried = std::current_exception();
        }
    });
    thread.join();
    try {
        std::rethrow_exception(carried);
    } catch (const std::runtime_error &) {
    }
    jmp_buf back;
    void *volatile block = nullptr;
    if (!setjmp(back)) {
        block = malloc(10);
        longjmp(back, 1);
    }
    free(block);
    return 0;
}
