/* An endless loop of malloc(1000000), run under a limit.
 * malloc returns NULL as C says, and the report names who holds the memory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *kept[100000];

static int fill(void)
{
    int count = 0;
    while ((kept[count] = malloc(1000000)) != NULL)
        memset(kept[count++], 1, 100);
    return count;
}

int main(void)
{
    int count = fill();
    printf("malloc returned NULL after %d blocks\n", count);
    return 0;
}
