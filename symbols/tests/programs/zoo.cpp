// What a symboliser meets in C++: templates, inlined calls over several levels,
// lambdas, statics, C linkage, constructors with aliases, and data of each kind.
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

namespace zoo {
int animals[16] = {1, 2, 3};
static long cages = 7;
const char label[] = "the sign at the gate";
struct Keeper {
    std::string name;
    explicit Keeper(const char *given);
    virtual ~Keeper();
    virtual int feed(int portions);
};
Keeper::Keeper(const char *given) : name(given) {}
Keeper::~Keeper() {}
Keeper the_keeper("Ada");

template <typename Value> __attribute__((noinline)) Value largest(const std::vector<Value> &values) {
    Value best{};
    for (const Value &value : values)
        if (best < value)
            best = value;
    return best;
}

static inline __attribute__((always_inline)) void innermost(int depth) {
    printf("depth %d\n", depth);
}
static inline __attribute__((always_inline)) void middle(int depth) {
    innermost(depth + 1);
    cages += depth;
}
__attribute__((noinline)) void outermost(int depth) {
    middle(depth);
    puts("done");
}
int Keeper::feed(int portions) {
    static int fed;
    fed += portions;
    auto chew = [&](int bites) __attribute__((noinline)) { return bites * fed + (int)name.size(); };
    return chew(portions) + animals[portions & 15];
}
} // namespace zoo

extern "C" __attribute__((noinline)) int plain_c_name(int value) {
    volatile int twice = value * 2;
    return twice;
}

int main(int argc, char **) {
    zoo::outermost(argc);
    std::vector<int> numbers{argc, 2, 3};
    std::vector<std::string> words{"a", "b"};
    printf("%d %s %d %d %s\n", zoo::largest(numbers), zoo::largest(words).c_str(),
           zoo::the_keeper.feed(argc), plain_c_name(argc), zoo::label);
}
