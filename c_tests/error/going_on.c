// crime: with halt_on_error=0 every crime is reported, the heap stays consistent and the program goes on
// origin: issue 3 (7), ArcHeap's oracle: blocks never overlap after a reported crime
// options: halt_on_error=0
// each: frame 0 commit
// case: double-free     | double 1     | error double-free size 64; exit 23
// case: double-large    | doublelarge 1 | error double-free size 100000; exit 23
// case: interior        | interior 1   | error bad-free size 64 offset 16; exit 23
// case: wild            | wild 1       | error bad-free; exit 23
// case: stack           | stack 1      | error bad-free; exit 23
// case: overflow        | overflow 1   | error heap-buffer-overflow size 64 offset 64; exit 23
// case: underflow       | underflow 1  | error heap-buffer-underflow size 64; exit 23
// case: own-exit-code   | double 5     | error double-free size 64; exit 5
// case: innocent        | none 1       | silent; exit 0
#include "scenario.h"

static NOINLINE void commit(const char *what) {
    char local[64] __attribute__((aligned(16))) = {0};
    if (!strcmp(what, "wild")) { free(opaque((void *)0x123456789ab0)); return; }
    if (!strcmp(what, "stack")) { free(opaque(local)); return; }
    size_t size = !strcmp(what, "doublelarge") ? 100000 : 64;
    char *block = opaque(malloc(size));
    if (!strcmp(what, "interior")) free(block + 16);
    if (!strcmp(what, "overflow")) damage(block + 64);
    if (!strcmp(what, "underflow")) damage(block - 1);
    free(block);
    if (!strncmp(what, "double", 6)) free(block);
}

#define COUNT 3000
static unsigned char *blocks[COUNT];

static size_t size_of(int i) { return i % 10 == 9 ? 100000 : (size_t)(i * 13) % 200 + 1; }

int main(int argc, char **argv) {
    commit(argv[1]);
    for (int i = 0; i < COUNT; i++) {
        blocks[i] = malloc(size_of(i));
        CHECK(blocks[i] != NULL);
        memset(blocks[i], i & 255, size_of(i));
    }
    for (int i = 0; i < COUNT; i++) {
        CHECK(blocks[i][0] == (i & 255) && blocks[i][size_of(i) - 1] == (i & 255));
        free(blocks[i]);
    }
    return atoi(argv[2]) == 5 ? 5 : 0;
}
