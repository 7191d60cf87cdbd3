// crime: sizes and alignments that cannot be meant leave a warning, once a call site, with the value as written
// origin: issue 3 (8), interface.md 4
// baseline: no
// case: negative        | negative 1 | warning allocation-size-too-big count 1 frame 0 ask @negative message "malloc(-8)"; exit 0
// case: negative-often  | negative 7 | warning allocation-size-too-big count 7 frame 0 ask @negative message "malloc(-8)"; exit 0
// case: calloc-overflow | calloc 1   | warning calloc-overflow count 1 frame 0 ask @calloc; exit 0
// case: realloc         | realloc 1  | warning allocation-size-too-big count 1 frame 0 ask @realloc; exit 0
// case: odd-alignment   | align 1    | warning invalid-alignment count 1 frame 0 ask @align; exit 0
// case: halts-not       | negative 1 | warning allocation-size-too-big; exit 0
// options: halt_on_error=1
// case: innocent        | large 3    | silent
#include "scenario.h"

static NOINLINE void ask(const char *what) {
    void *block = NULL;
    errno = 0;
    if (!strcmp(what, "negative")) block = malloc(opaque_size((size_t)-8)); /* @negative */
    if (!strcmp(what, "calloc")) block = calloc(opaque_size((size_t)1 << 40), (size_t)1 << 40); /* @calloc */
    if (!strcmp(what, "realloc")) block = realloc(NULL, opaque_size((size_t)-1)); /* @realloc */
    if (!strcmp(what, "align")) errno = posix_memalign(&block, opaque_size(24), 10); /* @align */
    if (!strcmp(what, "large")) {
        free(opaque(malloc(100000000)));
        return;
    }
    CHECK(block == NULL);
    CHECK(errno == (strcmp(what, "align") ? ENOMEM : EINVAL));
}

int main(int argc, char **argv) {
    for (int i = 0; i < atoi(argv[2]); i++) ask(argv[1]);
    return 0;
}
