// Everyday C++: long strings as keys and values of a map and a hash map, a
// vector of strings sorted, everything dropped and built again. About five
// allocations an entry.
#include <algorithm>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "loop.h"

static constexpr size_t ENTRIES = 10000;
static constexpr size_t ALLOCATIONS_A_ROUND = ENTRIES * 5;

static std::string word(random_t *random) {
    std::string text(random_between(random, 4, 60), ' ');
    for (char &letter : text)
        letter = static_cast<char>('a' + (random_next(random) >> 40) % 26);
    return text;
}

int main(int argc, char **argv) {
    size_t n = allocations_wanted(argc, argv);
    random_t random = random_from(5);
    for (size_t made = 0; made < n; made += ALLOCATIONS_A_ROUND) {
        std::map<std::string, std::string> sorted;
        std::unordered_map<std::string, std::vector<int>> hashed;
        std::vector<std::string> list;
        size_t entries = std::min(ENTRIES, n / 5 + 1);
        for (size_t i = 0; i < entries; i++) {
            std::string key = word(&random);
            hashed[key].push_back(static_cast<int>(i));
            list.push_back(key);
            sorted.emplace(std::move(key), "the value that belongs to entry " + std::to_string(i));
        }
        std::sort(list.begin(), list.end());
        list.erase(std::unique(list.begin(), list.end()), list.end());
        expect(list.size() == sorted.size() && list.size() == hashed.size());
        size_t i = 0;
        for (auto const &[key, value] : sorted)
            expect(key == list[i++] && value.size() > 30);
    }
    return 0;
}
