// innocent: protected or vanished pages in globals, stacks and blocks are stepped over, not into
// origin: LLVM guard-page, leak_check_segv, sanitizers 1322 1342
// case: global-page | global | silent
// case: heap-page   | heap   | silent
// case: stack-page  | stack  | silent
// case: file-page   | file   | silent
#include "scenario.h"
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <sys/mman.h>

static char globals[8 * 4096] __attribute__((aligned(4096)));
static void *volatile after = (void *)1;
static char *volatile block;
static pthread_barrier_t ready;

static NOINLINE void fill(void) { after = malloc(1337); }

static void *body(void *stack) {
    CHECK(mprotect((char *)stack + 4096, 4096, PROT_NONE) == 0);
    pthread_barrier_wait(&ready);
    for (;;) pause();
}

int main(int argc, char **argv) {
    const char *what = argv[1];
    fill();
    if (!strcmp(what, "global")) CHECK(mprotect(globals + 4096, 2 * 4096, PROT_NONE) == 0);
    if (!strcmp(what, "heap")) {
        block = memalign(4096, 16 * 4096);
        CHECK(mprotect(block + 4096, 4096, PROT_NONE) == 0);
    }
    if (!strcmp(what, "stack")) {
        pthread_attr_t attributes;
        pthread_t thread;
        char *stack = mmap(NULL, 256 * 1024, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        CHECK(stack != MAP_FAILED);
        CHECK(pthread_attr_init(&attributes) == 0);
        CHECK(pthread_attr_setstack(&attributes, stack, 256 * 1024) == 0);
        CHECK(pthread_barrier_init(&ready, NULL, 2) == 0);
        CHECK(pthread_create(&thread, &attributes, body, stack) == 0);
        pthread_barrier_wait(&ready);
    }
    if (!strcmp(what, "file")) {
        /* A mapping beyond the end of its file: every access is a bus error. */
        int file = open("short", O_CREAT | O_RDWR, 0600);
        CHECK(file >= 0 && write(file, "x", 1) == 1);
        CHECK(mmap(globals + 4096, 4 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, file, 4096) != MAP_FAILED);
    }
    scrub_stack();
    return 0;
}
