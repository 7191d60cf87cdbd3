/* Takes memory until there is none: hog SIZE EXITCODE [most], and can free it
 * and go on. The line of grow is what reports must name. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *list;

__attribute__((noinline)) static void *grow(size_t size) {
    return malloc(size); /* the line */
}

static long take_all(size_t size, long most) {
    long count = 0;
    for (; count < most; count++) {
        errno = 0;
        void **block = grow(size);
        if (!block) {
            if (errno != ENOMEM) exit(98);
            break;
        }
        memset(block, 1, size);
        *block = list;
        list = block;
    }
    return count;
}

static void free_all(void) {
    while (list) {
        void *next = *(void **)list;
        free(list);
        list = next;
    }
}

int main(int argc, char **argv) {
    size_t size = argc > 1 ? atol(argv[1]) : 1000000;
    int code = argc > 2 ? atoi(argv[2]) : 0;
    long most = argc > 3 ? atol(argv[3]) : 1L << 40;
    long first = take_all(size, most);
    printf("%ld\n", first);
    if (code == 0) return 0; /* all still reachable */
    free_all();
    /* What was freed can be had again: nine tenths at least. */
    long second = take_all(size, first);
    if (second < first * 9 / 10) return 97;
    free_all();
    return code;
}
