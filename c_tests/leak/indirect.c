// crime: blocks that only lost blocks hold are indirect leaks
// origin: engine.md C 3 (parent and child), Valgrind
// case: parent-child   | pair   | leak definite 1 blocks 48 bytes frame 0 make_parent; leak indirect 1 blocks 64 bytes frame 0 make_child
// case: list           | list   | leak definite 1 blocks 48 bytes; leak indirect 9 blocks 432 bytes frame 0 make_next
// case: tree           | tree   | leak definite 1 blocks 48 bytes frame 0 make_parent; leak indirect 1 blocks 64 bytes frame 0 make_child; leak indirect 1 blocks 64 bytes frame 0 make_child
// case: grandchild     | chain  | leak definite 1 blocks 48 bytes frame 0 make_parent; leak indirect 1 blocks 64 bytes frame 0 make_child; leak indirect 1 blocks 48 bytes frame 0 make_next
// case: child-kept     | kept   | leak definite 1 blocks 48 bytes frame 0 make_parent
// case: struct-only    | struct | leak definite 1 blocks 64 bytes frame 0 make_child
// case: innocent-pair  | pair free | silent
// case: innocent-list  | list free | silent
#include "scenario.h"

struct node {
    struct node *next;
    struct node *other;
    char bytes[32];
};

static struct node *volatile kept;

static NOINLINE struct node *make_parent(void) { return calloc(1, sizeof(struct node)); }
static NOINLINE struct node *make_next(void) { return calloc(1, sizeof(struct node)); }
static NOINLINE struct node *make_child(void) { return calloc(1, 64); }

static NOINLINE void scene(const char *what, int release) {
    struct node *parent = opaque(make_parent());
    if (!strcmp(what, "pair")) parent->next = make_child();
    if (!strcmp(what, "tree")) { parent->next = make_child(); parent->other = make_child(); }
    if (!strcmp(what, "chain")) { parent->next = make_child(); parent->next->next = make_next(); }
    if (!strcmp(what, "kept")) parent->next = kept = make_child();
    if (!strcmp(what, "struct")) { parent->next = make_child(); free(parent); parent = NULL; }
    if (!strcmp(what, "list")) {
        struct node *last = parent;
        for (int i = 0; i < 9; i++) last = last->next = make_next();
        lose(&last);
    }
    while (release && parent) {
        struct node *next = parent->next;
        free(parent);
        parent = next;
    }
    lose(&parent);
}

int main(int argc, char **argv) {
    scene(argv[1], argc > 2);
    scrub_stack();
    return 0;
}
