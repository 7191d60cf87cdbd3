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
#include "every_family.h"
