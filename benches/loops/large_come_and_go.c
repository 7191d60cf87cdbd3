// Blocks of 64 KiB to 4 MiB, small ones more often, eight live at a time, each
// page written once: what a page costs that comes from the system and goes back.
#include "loop.h"

enum { LIVE = 8, PAGE = 4096 };

int main(int argc, char **argv) {
    size_t n = allocations_wanted(argc, argv);
    random_t random = random_from(10);
    unsigned char *block[LIVE] = {0};
    size_t size[LIVE] = {0};
    for (size_t i = 0; i < n; i++) {
        size_t at = random_between(&random, 0, LIVE - 1);
        for (size_t page = 0; page < size[at]; page += PAGE)
            expect(block[at][page] == (unsigned char)size[at]);
        free(block[at]);
        size_t most = (size_t)65536 << random_between(&random, 0, 6);
        size[at] = random_between(&random, 65536, most);
        block[at] = must(malloc(size[at]));
        for (size_t page = 0; page < size[at]; page += PAGE)
            block[at][page] = (unsigned char)size[at];
    }
    for (size_t i = 0; i < LIVE; i++)
        free(block[i]);
    return 0;
}
