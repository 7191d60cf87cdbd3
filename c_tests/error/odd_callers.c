// crime: a crime inside a library callback or a library function still names the program's own frame
// origin: interface.md 4 (frames of libc wrappers stay in the stack)
// case: qsort    | qsort    | abort double-free size 64 frame 0 commit has-frame compare has-frame main
// case: getline  | getline  | abort double-free/heap-use-after-free/bad-free size 100 has-frame read_line has-frame main
// case: innocent | none     | silent
#include "scenario.h"

static NOINLINE void commit(void) {
    void *block = opaque(malloc(64));
    free(block);
    free(block);
}

static NOINLINE int compare(const void *left, const void *right) {
    commit();
    return *(const int *)left - *(const int *)right;
}

static NOINLINE void read_line(void) {
    size_t room = 100;
    char *line = opaque(malloc(room));
    FILE *file = fopen("/proc/self/maps", "r");
    CHECK(file != NULL);
    free(line);
    room = 1;
    while (getline(&line, &room, file) > 0) continue;
    fclose(file);
}


int main(int argc, char **argv) {
    int numbers[] = {2, 1};
    const char *what = argv[1];
    if (!strcmp(what, "qsort")) qsort(numbers, 2, sizeof *numbers, compare);
    if (!strcmp(what, "getline")) read_line();
    return 0;
}
