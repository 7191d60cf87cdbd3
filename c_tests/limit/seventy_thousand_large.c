// innocent: seventy thousand large blocks alive at once, more than the kernel's limit of mappings
// origin: scenarios.md 2 row 30, OOM-04, hardened_malloc 154, mps 304
// timeout: 60
// expect: silent
#include "scenario.h"

#define COUNT 70000
static char *blocks[COUNT];

int main(void) {
    for (int i = 0; i < COUNT; i++) {
        blocks[i] = malloc(40000);
        CHECK(blocks[i] != NULL);
        blocks[i][0] = (char)i;
    }
    for (int i = 0; i < COUNT; i += 2) {
        CHECK(blocks[i][0] == (char)i);
        free(blocks[i]);
    }
    for (int i = 0; i < COUNT; i += 2) {
        blocks[i] = malloc(40000);
        CHECK(blocks[i] != NULL);
        blocks[i][0] = (char)i;
    }
    for (int i = 0; i < COUNT; i++) {
        CHECK(blocks[i][0] == (char)i);
        free(blocks[i]);
    }
    return 0;
}
