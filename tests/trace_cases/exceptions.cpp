// case: C++ exceptions through frames that allocated
// expect: complete
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

static unsigned seed = 3;
static unsigned draw(unsigned below) { return (seed = seed * 1103515245 + 12345) / 65536 % below; }
__attribute__((noinline)) static int parse(int depth, std::map<std::string, std::vector<int>> &all) {
    std::string name = "a name longer than the small buffer " + std::to_string(draw(50));
    all[name].push_back(depth);
    auto kept = std::make_unique<int>(depth);
    if (depth == 0 && draw(2)) throw std::runtime_error(name);
    try {
        if (depth) return parse(depth - 1, all) + *kept;
    } catch (const std::runtime_error &error) {
        if (draw(3)) throw;
        return static_cast<int>(std::string(error.what()).size());
    }
    return *kept;
}
int main() {
    std::map<std::string, std::vector<int>> all;
    for (int round = 0; round < 300; round++) {
        try {
            parse(static_cast<int>(draw(12)), all);
        } catch (const std::exception &) {
        }
    }
}
