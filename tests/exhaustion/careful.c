/* The innocent twin of the sweep's examples: every failure is handled. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *copy(const char *text) {
    char *block = malloc(strlen(text) + 1);
    if (block) strcpy(block, text);
    return block;
}

int main(void) {
    for (int i = 0; i < 20; i++) {
        char *left = copy("left");
        char *right = left ? copy("right") : NULL;
        char *more = right ? realloc(right, 1000) : NULL;
        if (more) right = more;
        free(left);
        free(right);
        if (!more) {
            fprintf(stderr, "out of memory\n");
            return 3;
        }
    }
    return 0;
}
