/* Grows a list for half a second, or fills a table at once and then works with
 * short-lived blocks for as long; loses a few blocks on the way; then asks for
 * more than there is. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void *list;
void *table[4096];

__attribute__((noinline)) static void *make_node(void) { return malloc(4000); }
__attribute__((noinline)) static void *make_entry(void) { return malloc(4000); }
__attribute__((noinline)) static void *make_lost(void) { return malloc(4000); }
__attribute__((noinline)) static void *make_large(void) { return malloc((size_t)60 << 20); }

__attribute__((noinline)) static void scrub(void) {
    volatile char dead[16 * 1024];
    memset((void *)dead, 0, sizeof dead);
}

int main(int argc, char **argv) {
    int grows = argc > 1 && !strcmp(argv[1], "grow");
    if (!grows)
        for (int i = 0; i < 4096; i++) table[i] = make_entry();
    for (int step = 0; step < 512; step++) {
        if (grows) {
            for (int i = 0; i < 8; i++) {
                void **node = make_node();
                if (!node) return 3;
                *node = list;
                list = node;
            }
        }
        if (!make_lost()) return 4;
        free(malloc(100));
        usleep(1000);
    }
    scrub();
    void *large = make_large();
    return large ? 5 : 0;
}
