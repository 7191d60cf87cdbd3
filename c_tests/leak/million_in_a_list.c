// crime: a lost list of a million elements is classified without deep recursion
// origin: engine.md C 2d (bounded, no mark stack to overflow)
// timeout: 40
// case: lost     | lose | leak definite 1 blocks 16 bytes frame 0 make_node; leak indirect 999999 blocks 15999984 bytes frame 0 make_node
// case: innocent | keep | silent
#include "scenario.h"

struct node { struct node *next; long value; };

static struct node *volatile head;

static NOINLINE struct node *make_node(void) { return malloc(sizeof(struct node)); }

static NOINLINE void build(void) {
    struct node *list = NULL;
    for (long i = 0; i < 1000000; i++) {
        struct node *node = make_node();
        node->next = list;
        node->value = i;
        list = node;
    }
    head = list;
}

int main(int argc, char **argv) {
    build();
    if (!strcmp(argv[1], "lose")) head = NULL;
    scrub_stack();
    return 0;
}
