// crime: lost blocks that hold each other: one leader is definite, the rest indirect
// origin: engine.md C 3 (cycle), LLVM pointer_to_self; LeakSanitizer calls all of them indirect
// case: self         | 1 lose | leak definite 1 blocks 48 bytes frame 0 make_node
// case: two          | 2 lose | leak definite 1 blocks 48 bytes frame 0 make_node; leak indirect 1 blocks 48 bytes frame 0 make_node
// case: ten          | 10 lose | leak definite 1 blocks 48 bytes frame 0 make_node; leak indirect 9 blocks 432 bytes frame 0 make_node
// case: innocent     | 10 keep | silent
// case: innocent-freed | 10 free | silent
#include "scenario.h"

struct node { struct node *next; char bytes[40]; };

static struct node *volatile kept;

static NOINLINE struct node *make_node(void) { return calloc(1, sizeof(struct node)); }

static NOINLINE void scene(int count, const char *what) {
    struct node *first = make_node();
    struct node *last = first;
    for (int i = 1; i < count; i++) last = last->next = make_node();
    last->next = first;
    if (!strcmp(what, "keep")) kept = last;
    if (!strcmp(what, "free")) {
        last->next = NULL;
        while (first) { struct node *next = first->next; free(first); first = next; }
    }
    lose(&first);
    lose(&last);
}

int main(int argc, char **argv) {
    scene(atoi(argv[1]), argv[2]);
    scrub_stack();
    return 0;
}
