// One thread allocates, another frees: every free is a remote one. Blocks are
// handed over in parcels under a lock, so that waiting burns no processor time.
#include <pthread.h>

#include "loop.h"

enum { PARCEL = 256, PARCELS = 64 };

static void *parcel[PARCELS][PARCEL];
static size_t filled, emptied, wanted;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static size_t size_of(size_t number) { return 16 + (number * 37) % 240; }

static void *consume(void *unused) {
    for (size_t i = 0; i < wanted; i++) {
        pthread_mutex_lock(&lock);
        while (filled == i)
            pthread_cond_wait(&changed, &lock);
        pthread_mutex_unlock(&lock);
        for (size_t j = 0; j < PARCEL; j++) {
            void *block = parcel[i % PARCELS][j];
            verify(block, size_of(i * PARCEL + j));
            free(block);
        }
        pthread_mutex_lock(&lock);
        emptied = i + 1;
        pthread_cond_signal(&changed);
        pthread_mutex_unlock(&lock);
    }
    return unused;
}

int main(int argc, char **argv) {
    wanted = (allocations_wanted(argc, argv) + PARCEL - 1) / PARCEL;
    pthread_t consumer;
    expect(pthread_create(&consumer, NULL, consume, NULL) == 0);
    for (size_t i = 0; i < wanted; i++) {
        pthread_mutex_lock(&lock);
        while (i - emptied == PARCELS)
            pthread_cond_wait(&changed, &lock);
        pthread_mutex_unlock(&lock);
        for (size_t j = 0; j < PARCEL; j++) {
            size_t size = size_of(i * PARCEL + j);
            void *block = must(malloc(size));
            sign(block, size);
            parcel[i % PARCELS][j] = block;
        }
        pthread_mutex_lock(&lock);
        filled = i + 1;
        pthread_cond_signal(&changed);
        pthread_mutex_unlock(&lock);
    }
    return pthread_join(consumer, NULL);
}
