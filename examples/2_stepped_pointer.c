/* A string pointer stepped to its end: only an interior pointer is left. And a
 * longer string copied into a shorter buffer: the bytes behind it are damaged. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *cursor;

static void copy_and_step(const char *text)
{
    cursor = malloc(8); /* room for seven letters */
    if (!cursor)
        return;
    strcpy(cursor, text);
    while (*cursor)
        cursor++;
}

int main(int count, char **arguments)
{
    /* eleven letters: four bytes too many */
    copy_and_step(count > 1 ? arguments[1] : "hello world");
    printf("stepped to the end\n");
    return *cursor;
}
