/* A planted bug for `heapwarden sweep`: one result of malloc is not checked.
 *
 * Reads lines and prints them in reverse order. The list's node is checked,
 * the copy of the text in it is not: where strdup fails, puts(NULL) crashes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct node {
    char *text;
    struct node *next;
};

int main(void) {
    static const char *lines[] = {"one", "two", "three", "four"};
    struct node *list = NULL;
    for (int i = 0; i < 4; i++) {
        struct node *node = malloc(sizeof *node);
        if (!node) {
            fprintf(stderr, "out of memory\n");
            return 1;
        }
        node->text = malloc(strlen(lines[i]) + 1); /* not checked */
        strcpy(node->text, lines[i]);
        node->next = list;
        list = node;
    }
    while (list) {
        struct node *next = list->next;
        puts(list->text);
        free(list->text);
        free(list);
        list = next;
    }
    return 0;
}
