// crime: a block of each allocating function is lost; the size is what was asked for
// origin: interface.md 4 and 5
// case: malloc          | main malloc   | leak definite 1 blocks 100 bytes frame 0 make_block
// case: calloc          | main calloc   | leak definite 1 blocks 100 bytes frame 0 make_block
// case: realloc-null    | main renull   | leak definite 1 blocks 100 bytes frame 0 make_block
// case: realloc-grown   | main regrown  | leak definite 1 blocks 100 bytes frame 0 make_block
// case: realloc-shrunk  | main reshrunk | leak definite 1 blocks 100 bytes frame 0 make_block
// case: aligned_alloc   | main aligned  | leak definite 1 blocks 100 bytes frame 0 make_block
// case: memalign        | main memalign | leak definite 1 blocks 100 bytes frame 0 make_block
// case: posix_memalign  | main posix    | leak definite 1 blocks 100 bytes frame 0 make_block
// case: valloc          | main valloc   | leak definite 1 blocks 100 bytes frame 0 make_block
// case: pvalloc         | main pvalloc  | leak definite 1 blocks 4096 bytes frame 0 make_block
// case: reallocarray    | main rearray  | leak definite 1 blocks 100 bytes has-frame make_block
// case: strdup          | main strdup   | leak definite 1 blocks 100 bytes frame 1 make_block
// case: strndup         | main strndup  | leak definite 1 blocks 100 bytes frame 1 make_block
// case: asprintf        | main asprintf | leak definite 1 blocks 100 bytes has-frame make_block
// case: innocent-malloc   | main malloc free   | silent
// case: innocent-calloc   | main calloc free   | silent
// case: innocent-realloc  | main regrown free  | silent
// case: innocent-shrunk   | main reshrunk free | silent
// case: innocent-aligned  | main aligned free  | silent
// case: innocent-memalign | main memalign free | silent
// case: innocent-posix    | main posix free    | silent
// case: innocent-valloc   | main valloc free   | silent
// case: innocent-pvalloc  | main pvalloc free  | silent
// case: innocent-strdup   | main strdup free   | silent
// case: innocent-asprintf | main asprintf free | silent
#include "scene.h"
#include <malloc.h>

static char text[100];

static NOINLINE void *make_block(const char *how) {
    void *block = NULL;
    memset(text, 'x', 99);
    if (!strcmp(how, "malloc")) block = malloc(100);
    if (!strcmp(how, "calloc")) block = calloc(10, 10);
    if (!strcmp(how, "renull")) block = realloc(NULL, 100);
    if (!strcmp(how, "regrown")) block = realloc(opaque(malloc(10)), 100);
    if (!strcmp(how, "reshrunk")) block = realloc(opaque(malloc(1000)), 100);
    if (!strcmp(how, "aligned")) block = aligned_alloc(64, 100);
    if (!strcmp(how, "memalign")) block = memalign(64, 100);
    if (!strcmp(how, "posix")) CHECK(posix_memalign(&block, 64, 100) == 0);
    if (!strcmp(how, "valloc")) block = valloc(100);
    if (!strcmp(how, "pvalloc")) block = pvalloc(100);
    if (!strcmp(how, "rearray")) block = reallocarray(NULL, 10, 10);
    if (!strcmp(how, "strdup")) block = strdup(text);
    if (!strcmp(how, "strndup")) block = strndup(text, 99);
    if (!strcmp(how, "asprintf")) {
        char *result = NULL;
        CHECK(asprintf(&result, "%s", text) == 99);
        /* glibc may leave slack; a program that cares gives it back. */
        block = realloc(opaque(result), 100);
    }
    return opaque(block);
}

static void act(int argc, char **argv) {
    void *block = make_block(argv[0]);
    CHECK(block != NULL);
    if (argc > 1) free(block);
    lose(&block);
}
