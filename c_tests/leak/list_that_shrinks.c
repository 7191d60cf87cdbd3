// crime: a list loses its tail when an element is unlinked but not freed
// origin: examples of issue 2
// case: crime    | 3 | leak definite 1 blocks 24 bytes frame 0 append frame 1 main
// case: innocent | 0 | silent
#include "scenario.h"

struct item { struct item *next; long value; long more; };

static struct item *list;

static NOINLINE void append(long value) {
    struct item *item = malloc(sizeof *item);
    item->next = list;
    item->value = value;
    list = item;
}

static NOINLINE void unlink_value(long value) {
    for (struct item **link = &list; *link; link = &(*link)->next) {
        if ((*link)->value != value) continue;
        *link = (*link)->next;
        return;
    }
}

int main(int argc, char **argv) {
    for (long i = 1; i < 8; i++) append(i);
    unlink_value(atoi(argv[1]));
    scrub_stack();
    return 0;
}
