/* A planted bug for `heapwarden sweep`: the error path loses memory.
 *
 * make_pair cleans up nothing when its second allocation fails. */
#include <stdio.h>
#include <stdlib.h>

struct pair {
    int *left, *right;
};

static int make_pair(struct pair *pair) {
    pair->left = malloc(100 * sizeof *pair->left);
    if (!pair->left) return -1;
    pair->right = malloc(200 * sizeof *pair->right);
    if (!pair->right) return -1; /* pair->left is lost */
    return 0;
}

int main(void) {
    int made = 0;
    for (int i = 0; i < 5; i++) {
        struct pair pair = {NULL, NULL};
        if (make_pair(&pair)) {
            fprintf(stderr, "pair %d could not be made\n", i);
            continue;
        }
        made++;
        free(pair.left);
        free(pair.right);
    }
    fprintf(stderr, "%d pairs\n", made);
    return made == 5 ? 0 : 3;
}
