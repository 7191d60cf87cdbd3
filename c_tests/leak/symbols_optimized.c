// crime: names and lines are right in optimised code without frame pointers
// origin: issue 2 (8), engine.md B
// flags: -O2 -fomit-frame-pointer
// case: crime    | 1 | leak definite 1 blocks 64 bytes frame 0 make_block @made frame 1 through_alloca @through frame 2 main @main
// case: innocent | 0 | silent
#include "named_calls.h"
