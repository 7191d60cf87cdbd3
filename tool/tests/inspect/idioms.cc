// Blocks that are held by a pointer into them, by idiom, and one that is not.
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <unistd.h>
#include <vector>

extern "C" int heapwarden_check_leaks() __attribute__((weak));

struct Counted {
    long value = 7;
    ~Counted() { value = 0; }
};
struct First {
    virtual ~First() {}
    long a = 1;
};
struct Second {
    virtual ~Second() {}
    long b = 2;
};
struct Both : First, Second {};

struct Trouble {
    char *block;
};

static Counted *array;
static Second *second;
static char *sds;
static char *stray;
static std::vector<std::string> *texts;
static std::exception_ptr stored;

static void make() {
    array = new Counted[5];
    second = new Both;
    texts = new std::vector<std::string>(20, std::string(50, 'x'));
    char *header = static_cast<char *>(std::malloc(16 + 33));
    reinterpret_cast<size_t *>(header)[0] = 32;
    reinterpret_cast<size_t *>(header)[1] = 40;
    sds = header + 16;
    stored = std::make_exception_ptr(Trouble{static_cast<char *>(std::malloc(133))});
    stray = static_cast<char *>(std::calloc(1, 300)) + 100;
}

static void clear() {
    volatile char area[16384];
    for (size_t i = 0; i < sizeof area; i++) area[i] = 0;
}

int main() {
    make();
    clear();
    heapwarden_check_leaks();
    clear();
    std::puts("ready");
    std::fflush(stdout);
    for (;;) pause();
}
