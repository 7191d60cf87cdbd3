// crime: aligned delete with an alignment that the block does not have is reported and the program goes on
// origin: hardened_malloc invalid_aligned_sized_delete, tcmalloc Mismatched alignment
// case: too-strict | 1048576 | error new-delete-type-mismatch size 48 has-frame release has-allocated make; exit 23
// case: innocent   | 64   | silent
// flags: -std=c++17
#include "scenario.h"
#include <new>

extern "C" NOINLINE void *make(size_t alignment) { return operator new(48, std::align_val_t(alignment)); }
extern "C" NOINLINE void release(void *block, size_t alignment) { operator delete(block, std::align_val_t(alignment)); }

int main(int argc, char **argv) {
    void *blocks[40];
    size_t alignment = size_argument(argv[1]);
    void *chosen = NULL;
    for (int i = 0; i < 40; i++) {
        blocks[i] = opaque(make(64));
        if (!chosen && (uintptr_t)blocks[i] % alignment != (alignment > 64 ? 0 : 1)) chosen = blocks[i];
    }
    for (int i = 0; i < 40; i++)
        release(blocks[i], blocks[i] == chosen ? alignment : 64);
    return 0;
}
