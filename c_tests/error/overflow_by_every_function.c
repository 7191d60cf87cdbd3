// crime: the guard stands behind blocks of every allocating function
// origin: jemalloc safety_check (malloc/mallocx/realloc/rallocx), mimalloc
// case: malloc   | malloc 1   | abort heap-buffer-overflow size 50 offset 50 frame 0 release has-allocated make_block
// case: calloc   | calloc 1   | abort heap-buffer-overflow size 50 offset 50 frame 0 release has-allocated make_block
// case: realloc  | realloc 1  | abort heap-buffer-overflow size 50 offset 50 frame 0 release has-allocated make_block
// case: memalign | memalign 1 | abort heap-buffer-overflow size 50 offset 50 frame 0 release has-allocated make_block
// case: posix    | posix 1    | abort heap-buffer-overflow size 50 offset 50 frame 0 release has-allocated make_block
// case: valloc   | valloc 1   | abort heap-buffer-overflow size 50 offset 50 frame 0 release has-allocated make_block
// case: strdup   | strdup 1   | abort heap-buffer-overflow size 50 offset 50 frame 0 release has-allocated make_block
// case: innocent-malloc   | malloc 0   | silent
// case: innocent-calloc   | calloc 0   | silent
// case: innocent-realloc  | realloc 0  | silent
// case: innocent-memalign | memalign 0 | silent
// case: innocent-posix    | posix 0    | silent
// case: innocent-valloc   | valloc 0   | silent
// case: innocent-strdup   | strdup 0   | silent
#include "scenario.h"
#include <malloc.h>

static NOINLINE char *make_block(const char *how) {
    void *block = NULL;
    char text[50];
    memset(text, 'x', 49);
    text[49] = 0;
    if (!strcmp(how, "malloc")) block = malloc(50);
    if (!strcmp(how, "calloc")) block = calloc(5, 10);
    if (!strcmp(how, "realloc")) block = realloc(opaque(malloc(20)), 50);
    if (!strcmp(how, "memalign")) block = memalign(128, 50);
    if (!strcmp(how, "posix")) CHECK(posix_memalign(&block, 128, 50) == 0);
    if (!strcmp(how, "valloc")) block = valloc(50);
    if (!strcmp(how, "strdup")) block = strdup(text);
    return opaque(block);
}

static NOINLINE void release(char *block) { free(block); }

int main(int argc, char **argv) {
    char *block = make_block(argv[1]);
    memset(block, 'y', 50);
    if (atoi(argv[2])) damage(block + 50);
    release(block);
    return 0;
}
