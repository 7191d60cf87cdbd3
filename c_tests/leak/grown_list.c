// innocent: a list that only grows is reachable: no leak in the sense of a lost address
// origin: issue 2, examples (a list that only grows)
// expect: silent
#include "scenario.h"

struct item { struct item *next; char text[100]; };

static struct item *list;

int main(void) {
    for (int i = 0; i < 10000; i++) {
        struct item *item = malloc(sizeof *item);
        item->next = list;
        list = item;
    }
    CHECK(list->next != NULL);
    scrub_stack();
    return 0;
}
