#include <stdlib.h>

int main(void) {
    void *volatile block = malloc(10);
    block = NULL;
    return 0;
}
