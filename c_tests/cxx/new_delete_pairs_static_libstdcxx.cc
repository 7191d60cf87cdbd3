// crime: the same pairs where libstdc++ is linked statically and there is no debug information
// origin: issue 3 (6), "right even without debug info and with a static libstdc++"
// note: preloaded, the program's own operators end in jumps to free and to operator new: the call before tells which was meant
// case: malloc-delete      | malloc delete   | abort alloc-dealloc-mismatch size 48 has-frame release has-allocated make
// case: malloc-delete[]    | malloc delete[] | abort alloc-dealloc-mismatch size 48 has-frame release has-allocated make
// case: new-free           | new free        | abort alloc-dealloc-mismatch size 48 frame 0 release has-allocated make
// case: new-delete[]       | new delete[]    | abort alloc-dealloc-mismatch size 48 has-frame release has-allocated make
// case: new[]-free         | new[] free      | abort alloc-dealloc-mismatch size 48 frame 0 release has-allocated make
// case: new[]-delete       | new[] delete    | abort alloc-dealloc-mismatch size 48 has-frame release has-allocated make
// case: calloc-delete      | calloc delete   | abort alloc-dealloc-mismatch size 48 has-frame release
// case: aligned-new-free   | anew free       | abort alloc-dealloc-mismatch frame 0 release
// case: nothrow-new-free   | nnew free       | abort alloc-dealloc-mismatch size 48 frame 0 release
// case: nothrow-new[]-free | nnew[] free     | abort alloc-dealloc-mismatch size 48 frame 0 release
// case: new-realloc        | new realloc     | abort alloc-dealloc-mismatch size 48 frame 0 release
// case: innocent-malloc    | malloc free     | silent
// case: innocent-realloc   | malloc realloc  | silent
// case: innocent-new       | new delete      | silent
// case: innocent-new[]     | new[] delete[]  | silent
// case: innocent-nothrow   | nnew delete     | silent
// case: innocent-nothrow[] | nnew[] delete[] | silent
// case: innocent-aligned   | anew adelete    | silent
// case: innocent-aligned[] | anew[] adelete[] | silent
// case: innocent-sized     | new sdelete     | silent
// case: innocent-sized[]   | new[] sdelete[] | silent
// case: innocent-sized-aligned | anew sadelete | silent
// flags: -std=c++17 -g0 -static-libstdc++ -static-libgcc
#include "scenario.h"
#include <new>

static const std::align_val_t alignment{64};

extern "C" NOINLINE void *make(const char *how) {
    if (!strcmp(how, "malloc")) return malloc(48);
    if (!strcmp(how, "calloc")) return calloc(6, 8);
    if (!strcmp(how, "new")) return operator new(48);
    if (!strcmp(how, "new[]")) return operator new[](48);
    if (!strcmp(how, "nnew")) return operator new(48, std::nothrow);
    if (!strcmp(how, "nnew[]")) return operator new[](48, std::nothrow);
    if (!strcmp(how, "anew")) return operator new(48, alignment);
    if (!strcmp(how, "anew[]")) return operator new[](48, alignment);
    CHECK(!"such a way");
    return nullptr;
}

extern "C" NOINLINE void release(void *block, const char *how) {
    if (!strcmp(how, "free")) free(block);
    else if (!strcmp(how, "realloc")) free(opaque(realloc(block, 100)));
    else if (!strcmp(how, "delete")) operator delete(block);
    else if (!strcmp(how, "delete[]")) operator delete[](block);
    else if (!strcmp(how, "sdelete")) operator delete(block, 48);
    else if (!strcmp(how, "sdelete[]")) operator delete[](block, 48);
    else if (!strcmp(how, "adelete")) operator delete(block, alignment);
    else if (!strcmp(how, "adelete[]")) operator delete[](block, alignment);
    else if (!strcmp(how, "sadelete")) operator delete(block, 48, alignment);
    else CHECK(!"such a way");
}

int main(int argc, char **argv) {
    release(opaque(make(argv[1])), argv[2]);
    return 0;
}
