// innocent: operators new and delete of a static libstdc++ call our malloc and free: nobody is accused
// origin: issue 3 (6), "right even without debug info and with a static libstdc++"
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
