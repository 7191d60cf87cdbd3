// innocent: reachable blocks, asked for: each record says who holds its first block
// origin: issue 4 (who holds it); Valgrind's who_points_at
// options: show_leak_kinds=all
// case: global | global | leak reachable 1 blocks 32 bytes frame 0 make_block contains held_by "the global variable the_cache at "; any leak reachable; exit 0
// case: static | static | leak reachable 1 blocks 32 bytes frame 0 make_block contains held_by "the global variable kept_inside"; any leak reachable; exit 0
// case: stack  | stack  | leak reachable 1 blocks 32 bytes frame 0 make_block contains held_by "the stack of thread " contains held_by " in on_the_stack"; any leak reachable; exit 0
// case: thread | thread | leak reachable 1 blocks 32 bytes frame 0 make_block contains held_by "a thread-local variable of thread "; any leak reachable; exit 0
// case: chain  | chain  | leak reachable 1 blocks 32 bytes frame 0 make_block contains held_by "the global variable the_list at " contains held_by "through 3 block(s), the last of 24 byte(s) from make_node"; any leak reachable; exit 0
// case: default | chain | silent
// options: show_leak_kinds=definite
#include "scenario.h"

struct node {
    struct node *next;
    void *block;
    long number;
};

void *the_cache[100];
struct node *the_list;
static __thread void *of_the_thread;

static NOINLINE void *make_block(void) { return opaque(malloc(32)); }
static NOINLINE struct node *make_node(struct node *next) {
    struct node *node = opaque(calloc(1, sizeof *node));
    node->next = next;
    return node;
}

static NOINLINE void on_the_stack(void) {
    void *volatile kept[4] = {NULL, NULL, make_block(), NULL};
    scrub_stack();
    exit(kept[2] == NULL);
}

static NOINLINE void inside(void) {
    static void *kept_inside;
    kept_inside = make_block();
    opaque(&kept_inside);
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    if (!strcmp(what, "global")) the_cache[50] = make_block();
    if (!strcmp(what, "static")) inside();
    if (!strcmp(what, "stack")) on_the_stack();
    if (!strcmp(what, "thread")) of_the_thread = make_block();
    if (!strcmp(what, "chain")) {
        for (int i = 0; i < 2; i++) the_list = make_node(the_list);
        struct node *last = make_node(NULL);
        last->block = make_block();
        the_list->next->next = last;
    }
    scrub_stack();
    opaque(&of_the_thread);
    return 0;
}
