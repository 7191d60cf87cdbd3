// innocent: the standard library at work, in the program's end too
// origin: mimalloc stl_allocator, scenarios.md LOAD-01, EXIT-01
// flags: -std=c++17
// link: both full-static
// expect: silent
#include "scenario.h"
#include <algorithm>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <regex>
#include <sstream>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

static std::map<int, std::string> global_map;
static std::vector<std::string> global_vector{"one", "two", std::string(1000, 'x')};
static thread_local std::string local_text = "thread local, longer than the small string room";

static void work() {
    std::unordered_map<std::string, std::vector<int>> index;
    for (int i = 0; i < 3000; i++) index["key " + std::to_string(i % 100)].push_back(i);
    local_text += std::to_string(index.size());
    auto shared = std::make_shared<std::string>("shared by many");
    std::function<size_t()> length = [shared, copy = index] { return shared->size() + copy.size(); };
    CHECK(length() == 114);
    std::regex pattern("([a-z]+) ([0-9]+)");
    std::smatch match;
    std::string text = "key 42";
    CHECK(std::regex_match(text, match, pattern) && match[2] == "42");
}

int main() {
    work();
    std::thread first(work), second(work);
    first.join();
    second.join();
    for (int i = 0; i < 500; i++) global_map[i] = std::string(i, 'y');
    std::ostringstream out;
    out << global_map.size() << ' ' << global_vector.size();
    std::cout << out.str() << std::endl;
    std::vector<std::unique_ptr<int[]>> arrays;
    for (int i = 1; i < 100; i++) arrays.push_back(std::make_unique<int[]>(i));
    return 0;
}
