// innocent: allocation and release in atexit functions, destructors and destructors of keys after main
// origin: scenarios.md 2 row 12, EXIT-01, snmalloc multi_atexit
// expect: silent
// expect: exit 0
#include "scenario.h"

static char *held_by_main;
static char *held_by_atexit;

static void first_registered(void) {
    CHECK(held_by_atexit[0] == 'x');
    free(held_by_atexit);
    free(opaque(malloc(200)));
}

static void registered_at_exit(void) { free(opaque(calloc(1, 3000))); }

static void last_registered(void) {
    held_by_atexit = malloc(70000);
    held_by_atexit[0] = 'x';
    free(held_by_main);
    CHECK(atexit(registered_at_exit) == 0);
}

__attribute__((destructor)) static void destructor(void) {
    char *block = malloc(100);
    block = realloc(opaque(block), 100000);
    free(opaque(block));
}

int main(void) {
    held_by_main = opaque(malloc(10));
    CHECK(atexit(first_registered) == 0);
    for (int i = 0; i < 40; i++) CHECK(atexit(registered_at_exit) == 0);
    CHECK(atexit(last_registered) == 0);
    return 0;
}
