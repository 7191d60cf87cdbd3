// gcc's liblsan, preloaded, starts with the program's first malloc; perl and
// sqlite3 call signal() before that and jump into nothing. So allocate once.
#include <stdlib.h>

__attribute__((constructor)) static void allocate_once(void) {
    void *volatile block = malloc(1);
    free(block);
}
