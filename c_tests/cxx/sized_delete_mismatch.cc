// crime: sized delete with the wrong size is reported and the program goes on
// origin: hardened_malloc delete_type_size_mismatch, tcmalloc MismatchedDelete, scudo FreeSized, interface.md 4
// case: too-small   | 47  | error new-delete-type-mismatch size 48 has-frame release has-allocated make; exit 23
// case: too-large   | 49  | error new-delete-type-mismatch size 48 has-frame release; exit 23
// case: far-larger  | 480 | error new-delete-type-mismatch size 48 has-frame release; exit 23
// case: innocent    | 48  | silent
// flags: -std=c++17
#include "scenario.h"
#include <new>

extern "C" NOINLINE void *make(size_t size) { return operator new(size); }
extern "C" NOINLINE void release(void *block, size_t size) { operator delete(block, size); }

int main(int argc, char **argv) {
    void *block = opaque(make(48));
    release(block, size_argument(argv[1]));
    free(opaque(malloc(48)));
    return 0;
}
