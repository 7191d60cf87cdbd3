/* The functions about exhaustion: api handler | site | plan | limit */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int (*handler_t)(size_t);
struct failing {
    uint64_t nth, every, after, rate, seed, size_above;
    const char *site;
};
extern handler_t heapwarden_set_exhaustion_handler(handler_t);
extern void heapwarden_set_heap_limit(size_t);
extern int heapwarden_fail_allocations(const struct failing *);
extern uint64_t heapwarden_counted_allocations(uint64_t *);

#define CHECK(what) do { if (!(what)) { fprintf(stderr, "line %d: %s\n", __LINE__, #what); exit(99); } } while (0)

static void *spare, *blocks[4000];
static int asked, nested;

static int give_spare(size_t size) {
    asked++;
    CHECK(size == 1000000);
    if (nested) return 0;
    nested = 1;
    /* A shortage in the handler itself does not ask it again. */
    CHECK(malloc(1000u << 20) == NULL);
    nested = 0;
    if (!spare) return 0;
    free(spare);
    spare = NULL;
    return 1;
}

static void handler(void) {
    heapwarden_set_heap_limit(64 << 20);
    spare = malloc(20 << 20);
    CHECK(spare);
    CHECK(heapwarden_set_exhaustion_handler(give_spare) == NULL);
    int count = 0;
    while ((blocks[count] = malloc(1000000))) count++;
    CHECK(errno == ENOMEM);
    CHECK(asked == 2);         /* once it gave, once it could not */
    CHECK(count > 50);         /* the spare was used */
    CHECK(heapwarden_set_exhaustion_handler(NULL) == give_spare);
    CHECK(malloc(1000000) == NULL && asked == 2);
    heapwarden_set_heap_limit(0);
    CHECK((spare = malloc(1000000)) != NULL);
    for (int i = 0; i < count; i++) free(blocks[i]);
    free(spare);
}

__attribute__((noinline)) static void *victim(size_t size) {
    void *block = malloc(size);
    __asm__ volatile("" : "+r"(block));
    return block;
}

static void site(void) {
    struct failing failing = {.site = "victim"};
    CHECK(heapwarden_fail_allocations(&failing) == 0);
    for (int i = 0; i < 50; i++) {
        void *good = malloc(100 + i);
        CHECK(good);
        free(good);
        CHECK(victim(100 + i) == NULL);
    }
    uint64_t failed = 0;
    CHECK(heapwarden_counted_allocations(&failed) == 50 && failed == 50);
    CHECK(heapwarden_fail_allocations(NULL) == 0);
    void *back = victim(10);
    CHECK(back);
    free(back);
    char name[300];
    memset(name, 'x', sizeof name - 1);
    name[299] = 0;
    failing.site = name;
    CHECK(heapwarden_fail_allocations(&failing) == -1);
}

static int failures(struct failing failing) {
    int count = 0;
    CHECK(heapwarden_fail_allocations(&failing) == 0);
    for (int i = 0; i < 1000; i++) {
        void *block = i % 2 ? calloc(1, 64) : malloc(64);
        if (!block) count++;
        free(block);
    }
    CHECK(heapwarden_fail_allocations(NULL) == 0);
    return count;
}

static void plan(void) {
    CHECK(failures((struct failing){.nth = 5}) == 1);
    CHECK(failures((struct failing){.every = 10}) == 100);
    CHECK(failures((struct failing){.after = 901}) == 100);
    CHECK(failures((struct failing){.size_above = 64}) == 0);
    CHECK(failures((struct failing){.size_above = 63}) == 1000);
    int some = failures((struct failing){.rate = 10, .seed = 3});
    CHECK(some > 60 && some < 150);
    CHECK(failures((struct failing){.rate = 10, .seed = 3}) == some);
    CHECK(failures((struct failing){0}) == 0);
    /* realloc: a growing one counts, a shrinking one never fails. */
    struct failing all = {.after = 1};
    char *block = malloc(100);
    strcpy(block, "kept");
    CHECK(heapwarden_fail_allocations(&all) == 0);
    CHECK(realloc(block, 5000) == NULL && errno == ENOMEM);
    block = realloc(block, 50);
    CHECK(block && !strcmp(block, "kept"));
    void *place = &place;
    CHECK(posix_memalign(&place, 64, 10) == ENOMEM && place == &place);
    CHECK(heapwarden_fail_allocations(NULL) == 0);
    free(block);
}

int main(int argc, char **argv) {
    (void)argc;
    if (!strcmp(argv[1], "handler")) handler();
    if (!strcmp(argv[1], "site")) site();
    if (!strcmp(argv[1], "plan")) plan();
    return 5;
}
