// Trees of depth 16 built and torn down by recursion while one tree lives on:
// many call stacks of different depth for one call site.
#include "loop.h"

typedef struct node { struct node *left, *right; } node_t;

enum { DEPTH = 16, NODES = (1 << (DEPTH + 1)) - 1 };

static node_t *build(int depth) {
    node_t *node = must(malloc(sizeof *node));
    node->left = depth > 0 ? build(depth - 1) : NULL;
    node->right = depth > 0 ? build(depth - 1) : NULL;
    return node;
}

static size_t tear_down(node_t *node) {
    size_t nodes = 1;
    if (node->left != NULL)
        nodes += tear_down(node->left) + tear_down(node->right);
    free(node);
    return nodes;
}

int main(int argc, char **argv) {
    size_t n = allocations_wanted(argc, argv);
    node_t *lives_on = build(DEPTH - 2);
    for (size_t made = 0; made < n; made += NODES)
        expect(tear_down(build(DEPTH)) == NODES);
    expect(tear_down(lives_on) == NODES / 4);
    return 0;
}
