/* A dangling pointer, read and written after its block was freed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct session {
    int user;
    char token[32];
};

static struct session *current;

static void log_out(struct session *session)
{
    free(session); /* `current` still points there */
}

int main(void)
{
    current = malloc(sizeof *current);
    if (!current)
        return 1;
    current->user = 42;
    strcpy(current->token, "secret");
    log_out(current);
    printf("user is now %#x: not 42, but poison\n", (unsigned)current->user);
    current->user = 7;
    return 0;
}
