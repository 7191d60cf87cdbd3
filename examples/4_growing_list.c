/* A list that only grows: every entry is reachable, and none is needed again.
 * Seen with show_leak_kinds=all or hidden_leaks=1. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct entry {
    struct entry *next;
    char text[48];
};

static struct entry *history;

static void remember(int number)
{
    struct entry *entry = malloc(sizeof *entry);
    if (!entry)
        return;
    snprintf(entry->text, sizeof entry->text, "request %d", number);
    entry->next = history;
    history = entry;
}

int main(void)
{
    for (int i = 0; i < 10000; i++) {
        remember(i);
        if (i % 100 == 0)
            usleep(10000);
    }
    printf("last: %s\n", history->text);
    return 0;
}
