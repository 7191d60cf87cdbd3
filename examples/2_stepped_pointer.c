/* A string pointer stepped to its end (only an interior pointer is left), and a
 * longer string copied into a shorter buffer (the bytes behind it are damaged). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *cursor;
char *label;

static void step_to_end(const char *text)
{
    cursor = malloc(strlen(text) + 1);
    if (!cursor)
        return;
    strcpy(cursor, text);
    while (*cursor)
        cursor++; /* the block's start is forgotten */
}

static void copy_label(const char *text)
{
    label = malloc(8); /* room for seven letters */
    if (label)
        strcpy(label, text);
}

int main(int count, char **arguments)
{
    step_to_end("hello");
    copy_label(count > 1 ? arguments[1] : "hello world"); /* eleven letters */
    printf("%s\n", label);
    return 0;
}
