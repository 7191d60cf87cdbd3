// crime: strcpy of a string one byte longer than the buffer
// origin: hardened_malloc string_overflow, interface.md 4
// case: one-too-long  | main "twelve chars" 12 | abort heap-buffer-overflow size 12 offset 12 allocated 0 copy_of
// case: far-too-long  | main "a much longer text than that" 12 | abort heap-buffer-overflow size 12 offset 12
// case: innocent      | main "twelve chars" 13 | silent
#include "scene.h"

static NOINLINE char *copy_of(const char *text, size_t room) {
    char *copy = malloc(room);
    return strcpy(copy, text);
}

static void act(int argc, char **argv) {
    free(opaque(copy_of(argv[0], size_argument(argv[1]))));
}
