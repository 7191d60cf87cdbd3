// innocent: an array with a cookie and an object held by its second base are reachable all the same
// origin: engine.md C 3 (new[] cookie, multiple inheritance), Valgrind heuristics
// flags: -std=c++17
// case: array-cookie | 1 | silent
// case: second-base  | 2 | silent
// case: string-inner | 3 | silent
#include "scenario.h"

struct Counted { long value; ~Counted() { value = 0; } };
struct First { virtual ~First() {} long a = 1; };
struct Second { virtual ~Second() {} long b = 2; };
struct Both : First, Second { char more[100]; };

static Counted *volatile array;
static Second *volatile second;
static char *volatile first_letter;

extern "C" NOINLINE void fill(int which) {
    if (which == 1) array = new Counted[10];
    if (which == 2) second = new Both;
    if (which == 3) {
        /* The length64 heuristic: a pointer 64 bits after a header that holds the size. */
        size_t *block = static_cast<size_t *>(malloc(8 + 100));
        block[0] = 100;
        first_letter = reinterpret_cast<char *>(block + 1);
    }
}

int main(int argc, char **argv) {
    fill(atoi(argv[1]));
    scrub_stack();
    return 0;
}
