// crime: a second malloc overwrites the pointer to the first block
// origin: issue 2, the first phenomenon
// case: crime    | lose | leak definite 1 blocks 100 bytes frame 0 main @first
// case: innocent | free | silent
#include "scenario.h"

static char *volatile buffer;

int main(int argc, char **argv) {
    buffer = malloc(100); /* @first */
    if (!strcmp(argv[1], "free")) free(buffer);
    buffer = malloc(200); /* @second */
    scrub_stack();
    return 0;
}
