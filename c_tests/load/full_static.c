// crime: a fully static program with threads, fork and the whole malloc family
// origin: scenarios.md 2 row 34, LINK-01, glibc tst-interpose-static-thread
// link: full-static static
// case: leak     | lose  | leak definite 1 blocks 32 bytes frame 0 make_block @made frame 1 main
// case: twice    | twice | abort double-free size 32 frame 0 main
// case: overflow | over  | abort heap-buffer-overflow size 32 offset 32 allocated 0 make_block
// case: innocent | free  | silent
#include "scenario.h"
#include <malloc.h>
#include <pthread.h>
#include <sys/wait.h>

static NOINLINE void *make_block(void) {
    return malloc(32); /* @made */
}

static void *body(void *unused) {
    for (int i = 0; i < 500; i++) free(opaque(malloc((size_t)i * 50)));
    return unused;
}

int main(int argc, char **argv) {
    pthread_t thread;
    char *block = make_block();
    CHECK(pthread_create(&thread, NULL, body, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    pid_t child = fork();
    if (child == 0) {
        body(NULL);
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    mallopt(M_MMAP_THRESHOLD, 100000);
    struct mallinfo2 info = mallinfo2();
    CHECK(info.uordblks > 0);
    malloc_trim(0);
    CHECK(malloc_usable_size(block) == 32);
    if (!strcmp(argv[1], "over")) damage(block + 32);
    if (strcmp(argv[1], "lose")) free(block);
    if (!strcmp(argv[1], "twice")) free(block);
    lose(&block);
    scrub_stack();
    return 0;
}
