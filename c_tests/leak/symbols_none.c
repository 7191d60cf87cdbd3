// crime: without debug information the symbol table still gives the names
// origin: issue 2 (8), interface.md 4 (what is unknown is left out)
// flags: -g0
// case: crime    | 1 | leak definite 1 blocks 64 bytes frame 0 make_block frame 1 through_alloca frame 2 main
// case: innocent | 0 | silent
#include "named_calls.h"
