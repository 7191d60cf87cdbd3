// innocent: with guard_sample=1 every function of the family keeps its law, also beyond the budget of mappings
// origin: issue 3 (5), "must still run the Debian programs"
// options: guard_sample=1
// case: law      | law     | silent
// case: budget   | budget  | silent
// case: threads  | threads | silent
// case: fork     | fork    | silent
#include "scenario.h"
#include <malloc.h>
#include <pthread.h>
#include <sys/wait.h>

static void try_sizes(void) {
    for (size_t size = 0; size < 20000; size = size * 5 / 4 + 1) {
        char *block = opaque(malloc(size));
        CHECK(block && (uintptr_t)block % 16 == 0 && malloc_usable_size(block) == size);
        memset(block, 1, size);
        block = opaque(realloc(block, size + 100));
        CHECK(malloc_usable_size(block) == size + 100);
        for (size_t i = 0; i < size; i++) CHECK(block[i] == 1);
        memset(block, 2, size + 100);
        block = opaque(realloc(block, size / 2 + 1));
        for (size_t i = 0; i < size / 2; i++) CHECK(block[i] == 2);
        free(block);
        char *zeroed = opaque(calloc(1, size));
        for (size_t i = 0; i < size; i++) CHECK(zeroed[i] == 0);
        free(zeroed);
        for (size_t alignment = 16; alignment <= 65536; alignment *= 4) {
            void *aligned = opaque(aligned_alloc(alignment, size));
            CHECK(aligned && (uintptr_t)aligned % alignment == 0);
            memset(aligned, 3, size);
            free(aligned);
        }
    }
    void *large = opaque(malloc(1 << 20));
    large = opaque(realloc(large, 3 << 20));
    free(opaque(realloc(large, 100)));
}

static void *in_thread(void *unused) {
    for (int i = 0; i < 3; i++) try_sizes();
    return unused;
}

int main(int argc, char **argv) {
    const char *what = argv[1];
    if (!strcmp(what, "law")) try_sizes();
    if (!strcmp(what, "budget")) {
        enum { COUNT = 40000 };
        char **blocks = malloc(COUNT * sizeof *blocks);
        for (int i = 0; i < COUNT; i++) {
            blocks[i] = malloc(100);
            CHECK(blocks[i]);
            memset(blocks[i], i & 255, 100);
        }
        for (int i = 0; i < COUNT; i++) {
            CHECK(blocks[i][99] == (char)(i & 255));
            free(blocks[i]);
        }
        free(blocks);
    }
    if (!strcmp(what, "threads")) {
        pthread_t threads[4];
        for (int i = 0; i < 4; i++) CHECK(!pthread_create(&threads[i], NULL, in_thread, NULL));
        for (int i = 0; i < 4; i++) CHECK(!pthread_join(threads[i], NULL));
    }
    if (!strcmp(what, "fork")) {
        char *block = opaque(malloc(100));
        pid_t child = fork();
        if (!child) {
            free(block);
            try_sizes();
            exit(0);
        }
        int status;
        CHECK(waitpid(child, &status, 0) == child && status == 0);
        free(block);
    }
    return 0;
}
