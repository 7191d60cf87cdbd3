// crime: in a stripped program the leak is counted, with addresses instead of names
// origin: issue 2 (8), interface.md 4 (what is unknown is left out)
// flags: -g0 -Wl,-s
// case: crime    | 1 | leak definite 1 blocks 64 bytes
// case: innocent | 0 | silent
#include "named_calls.h"
