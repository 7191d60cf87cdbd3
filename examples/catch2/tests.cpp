#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif
#include <memory>

static int *volatile kept;

TEST_CASE("releases") {
    auto number = std::make_unique<int>(1);
    REQUIRE(*number == 1);
}

TEST_CASE("loses") {
    kept = new int(2);
    REQUIRE(*kept == 2);
    kept = nullptr;
}
