// crime: the error is raised in the second thread while the first waits
// origin: OpenBSD malloc_threaderr
// case: double-free | double | abort double-free size 64 frame 0 commit frame 1 body
// case: wild        | wild   | abort bad-free frame 0 commit frame 1 body
// case: overflow    | over   | abort heap-buffer-overflow size 64 offset 64 frame 0 commit frame 1 body
// case: innocent    | none   | silent
#include "scenario.h"
#include <pthread.h>

static NOINLINE void commit(void *block) { free(block); }

static NOINLINE void *body(void *what) {
    char *block = opaque(malloc(64));
    if (!strcmp(what, "over")) damage(block + 64);
    if (!strcmp(what, "wild")) commit(opaque((void *)0x7654321000));
    commit(block);
    if (!strcmp(what, "double")) commit(block);
    return NULL;
}

int main(int argc, char **argv) {
    pthread_t first, second;
    CHECK(pthread_create(&first, NULL, body, (void *)"none") == 0);
    CHECK(pthread_join(first, NULL) == 0);
    CHECK(pthread_create(&second, NULL, body, argv[1]) == 0);
    CHECK(pthread_join(second, NULL) == 0);
    return 0;
}
