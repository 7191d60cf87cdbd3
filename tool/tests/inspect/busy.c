/* Holds what a census must find: keep() exactly 1000 blocks of 64 bytes,
 * grow() more and more, churn() frees nearly all it makes. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void *kept[1000];
static void **grown;
static size_t count;

static void keep(void) {
    for (int i = 0; i < 1000; i++) kept[i] = malloc(64);
}

static void grow(void) {
    void **next = malloc(200);
    *next = grown;
    grown = next;
    count++;
}

static void *churn(void *unused) {
    for (;;) {
        for (int i = 0; i < 100; i++) free(malloc(48));
        usleep(1000);
    }
    return unused;
}

int main(void) {
    pthread_t thread;
    keep();
    pthread_create(&thread, 0, churn, 0);
    puts("ready");
    fflush(stdout);
    for (;;) {
        grow();
        usleep(2000);
    }
}
