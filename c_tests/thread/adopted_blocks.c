// innocent: blocks of finished threads stay valid and can be resized and freed later by others
// origin: jemalloc tsd, snmalloc teardown, mimalloc abandoned segments
// expect: silent
#include "scenario.h"
#include <pthread.h>

#define THREADS 64
#define EACH 200
static char *blocks[THREADS][EACH];

static void *make(void *number) {
    int at = (int)(uintptr_t)number;
    for (int i = 0; i < EACH; i++) {
        blocks[at][i] = malloc((size_t)(i * 83) % 7000 + 1);
        blocks[at][i][0] = (char)(at + i);
    }
    return NULL;
}

int main(void) {
    for (int round = 0; round < 3; round++) {
        for (int at = 0; at < THREADS; at++) {
            pthread_t thread;
            CHECK(pthread_create(&thread, NULL, make, (void *)(uintptr_t)at) == 0);
            CHECK(pthread_join(thread, NULL) == 0);
        }
        for (int at = 0; at < THREADS; at++)
            for (int i = 0; i < EACH; i++) {
                CHECK(blocks[at][i][0] == (char)(at + i));
                if (i % 2) blocks[at][i] = realloc(blocks[at][i], 9000);
                CHECK(blocks[at][i][0] == (char)(at + i));
                free(blocks[at][i]);
            }
    }
    return 0;
}
