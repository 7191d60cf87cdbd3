/* One block of each kind, an overflow and a write after free. Checks itself
 * ("check"), then waits or dies ("die"). */
#include <pthread.h>
#include <search.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern int heapwarden_check_leaks(void) __attribute__((weak));

struct node {
    struct node *next;
    char text[40];
};
static struct node *list;
static __thread char *local;
static char *inside;
static void *tree;
static char *damaged, *gone;
static pthread_barrier_t barrier;

static void hold(void) {
    for (int i = 0; i < 5; i++) {
        struct node *node = malloc(sizeof *node);
        node->next = list;
        list = node;
    }
}
static void lose(void) {
    for (int i = 0; i < 3; i++) memset(malloc(111), 1, 111);
}
static void lose_chain(void) {
    struct node *first = calloc(1, sizeof *first);
    first->next = calloc(1, sizeof *first);
    first->next->next = calloc(1, sizeof *first);
}
static void lose_ring(void) {
    struct node *first = calloc(1, sizeof *first), *second = calloc(1, sizeof *first);
    first->next = second;
    second->next = first;
}
static void point_inside(void) {
    inside = (char *)malloc(500) + 200;
}
static int compare(const void *a, const void *b) {
    return strcmp(a, b);
}
static void grow_tree(void) {
    static const char *const keys[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    for (int i = 0; i < 8; i++) tsearch(keys[i], &tree, compare);
}
static void overflow(void) {
    damaged = malloc(30);
    damaged[30] = 'x';
}
static void write_freed(void) {
    char *block = malloc(64);
    gone = block;
    free(block);
    gone[8] = 'y';
}
static void *work(void *unused) {
    local = malloc(77);
    char *volatile mine = malloc(88);
    pthread_barrier_wait(&barrier);
    for (;;) pause();
    return (void *)(mine != unused);
}
static void clear(void) {
    char area[16384];
    memset(area, 0, sizeof area);
    __asm__ volatile("" : : "r"(area) : "memory");
}

int main(int argc, char **argv) {
    pthread_t thread;
    hold();
    lose();
    lose_chain();
    lose_ring();
    point_inside();
    grow_tree();
    char *volatile big = malloc(1 << 20);
    pthread_barrier_init(&barrier, 0, 2);
    pthread_create(&thread, 0, work, 0);
    pthread_barrier_wait(&barrier);
    clear();
    if (argc > 1 && strstr(argv[1], "check")) heapwarden_check_leaks();
    if (argc > 1 && strstr(argv[1], "crime")) {
        overflow();
        write_freed();
    }
    clear();
    printf("%p %p %p\n", (void *)list, (void *)gone, (void *)big);
    fflush(stdout);
    if (argc > 1 && strstr(argv[1], "die")) raise(SIGSEGV);
    for (;;) pause();
}
