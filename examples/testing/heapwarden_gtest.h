// A GoogleTest listener: a test that loses memory fails.
//
//     int main(int argc, char **argv) {
//         testing::InitGoogleTest(&argc, argv);
//         heapwarden::listen();
//         return RUN_ALL_TESTS();
//     }
//
// Run the tests with `heapwarden run -- ./tests`, or link them with the
// library; otherwise the listener does nothing.
#pragma once

#include "heapwarden_assert.h"
#include <gtest/gtest.h>

namespace heapwarden {

class Listener : public testing::EmptyTestEventListener {
    uint64_t mark = 0;

    void OnTestStart(const testing::TestInfo &) override { mark = heapwarden_assert_mark(); }

    void OnTestEnd(const testing::TestInfo &test) override {
        const int leaks = heapwarden_assert_leaks_since(mark);
        if (leaks != 0 && test.result()->Passed()) {
            ADD_FAILURE() << "this test loses memory; heapwarden's report names the call sites";
        }
    }
};

inline void listen() {
    // Before the printer, so that the failure is part of the test's result.
    auto &listeners = testing::UnitTest::GetInstance()->listeners();
    auto *printer = listeners.Release(listeners.default_result_printer());
    listeners.Append(new Listener);
    listeners.Append(printer);
}

} // namespace heapwarden
