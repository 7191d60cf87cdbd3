// A server in small, after Larson and Krishnan (ISMM 1998): two workers each
// replace random blocks of 10 to 500 bytes; after a while a worker ends and a
// new thread inherits its blocks, so it frees what a dead thread allocated.
#include <pthread.h>

#include "loop.h"

enum { WORKERS = 2, LIVE = 5000, GENERATION = 100000 };

typedef struct {
    random_t random;
    size_t left;
    void *block[LIVE];
    size_t size[LIVE];
} room_t;

static void *work(void *argument) {
    room_t *room = argument;
    size_t turns = room->left < GENERATION ? room->left : GENERATION;
    for (size_t i = 0; i < turns; i++) {
        size_t at = random_between(&room->random, 0, LIVE - 1);
        if (room->block[at] != NULL) {
            verify(room->block[at], room->size[at]);
            free(room->block[at]);
        }
        room->size[at] = random_between(&room->random, 10, 500);
        room->block[at] = must(malloc(room->size[at]));
        sign(room->block[at], room->size[at]);
    }
    room->left -= turns;
    return NULL;
}

int main(int argc, char **argv) {
    size_t n = allocations_wanted(argc, argv);
    static room_t room[WORKERS];
    for (size_t w = 0; w < WORKERS; w++) {
        room[w].random = random_from(w + 4);
        room[w].left = n / WORKERS;
    }
    while (room[0].left > 0) {
        pthread_t worker[WORKERS];
        for (size_t w = 0; w < WORKERS; w++)
            expect(pthread_create(&worker[w], NULL, work, &room[w]) == 0);
        for (size_t w = 0; w < WORKERS; w++)
            pthread_join(worker[w], NULL);
    }
    for (size_t w = 0; w < WORKERS; w++)
        for (size_t i = 0; i < LIVE; i++)
            free(room[w].block[i]);
    return 0;
}
