// crime: arrays of objects with destructors, deleted as if they were one object
// origin: AddressSanitizer bad-free of an array cookie, C++ [expr.delete]
// flags: -std=c++17 -Wno-mismatched-new-delete
// case: scalar-of-array | scalar | abort bad-free/alloc-dealloc-mismatch size 168
// case: innocent-array  | right  | silent
// case: innocent-empty  | empty  | silent
// case: innocent-null   | null   | silent
#include "scenario.h"

struct Counted {
    long values[2] = {1, 2};
    ~Counted() { values[0] = 0; }
};

extern "C" NOINLINE void delete_one(Counted *object) { delete object; }
extern "C" NOINLINE void delete_many(Counted *objects) { delete[] objects; }

int main(int argc, char **argv) {
    if (!strcmp(argv[1], "scalar")) delete_one(static_cast<Counted *>(opaque(new Counted[10])));
    if (!strcmp(argv[1], "right")) delete_many(static_cast<Counted *>(opaque(new Counted[10])));
    if (!strcmp(argv[1], "empty")) delete_many(static_cast<Counted *>(opaque(new Counted[opaque_size(0)])));
    if (!strcmp(argv[1], "null")) { delete_one(nullptr); delete_many(nullptr); }
    return 0;
}
