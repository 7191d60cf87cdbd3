// crime: the program's very first allocator call is on a garbage pointer
// origin: hardened_malloc uninitialized_free, uninitialized_realloc, uninitialized_malloc_usable_size
// case: free     | free    | abort bad-free frame 0 main
// case: realloc  | realloc | abort bad-free frame 0 main
// case: usable   | usable  | abort bad-free frame 0 main
// case: innocent | null    | silent
#include "scenario.h"
#include <malloc.h>

int main(int argc, char **argv) {
    void *garbage = opaque((void *)0x7fff01234567a0);
    if (!strcmp(argv[1], "free")) free(garbage);
    if (!strcmp(argv[1], "realloc")) garbage = opaque(realloc(garbage, 16));
    if (!strcmp(argv[1], "usable")) opaque_size(malloc_usable_size(garbage));
    if (!strcmp(argv[1], "null")) free(opaque(NULL));
    return 0;
}
