// crime: names and lines are right in DWARF 5
// origin: issue 2 (8), engine.md B
// flags: -gdwarf-5
// case: crime    | 1 | leak definite 1 blocks 64 bytes frame 0 make_block @made frame 1 through_alloca @through frame 2 main @main
// case: innocent | 0 | silent
#include "named_calls.h"
