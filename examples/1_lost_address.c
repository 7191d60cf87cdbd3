/* A pointer overwritten by a second malloc: the first block's address is lost. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *name;

static void set_name(const char *text)
{
    name = malloc(strlen(text) + 1); /* the old name is not freed */
    if (name)
        strcpy(name, text);
}

int main(void)
{
    set_name("first");
    set_name("second");
    printf("%s\n", name);
    return 0;
}
