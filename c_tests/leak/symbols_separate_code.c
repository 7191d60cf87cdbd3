// crime: names and lines are right in code in segments of its own
// origin: issue 2 (8), engine.md B
// flags: -Wl,-z,separate-code
// case: crime    | 1 | leak definite 1 blocks 64 bytes frame 0 make_block @made frame 1 through_alloca @through frame 2 main @main
// case: innocent | 0 | silent
#include "named_calls.h"
