// crime: the program's buffered output is never lost, whatever the verdict
// origin: interface.md 3, sanitizers 1263
// case: leak-return | lose return | leak definite 1 blocks 32 bytes; stdout "the last word"
// case: leak-exit   | lose exit   | leak definite 1 blocks 32 bytes; stdout "the last word"
// case: own-buffer  | lose own    | leak definite 1 blocks 32 bytes; stdout "the last word"
// case: innocent    | free return | silent; stdout "the last word"
#include "scenario.h"

static char buffer[10000];

int main(int argc, char **argv) {
    void *block = malloc(32);
    if (!strcmp(argv[2], "own")) setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
    printf("the last word");
    if (!strcmp(argv[1], "free")) free(block);
    lose(&block);
    scrub_stack();
    if (!strcmp(argv[2], "exit")) exit(0);
    return 0;
}
