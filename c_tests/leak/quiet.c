// crime: with quiet=1 a live check disturbs no thread that is blocked in a system call, and still reads its stack
// origin: engine.md C 2h (EINTR by signals), issue 4 (quiet)
// baseline: no
// expect: any summary
// case: quiet       | quiet keep | silent
// options: quiet=1
// case: quiet-lost  | quiet lose | any leak definite; leak definite 1 blocks 1337 bytes frame 0 make_block; exit 23
// options: quiet=1
// case: not-quiet   | loud keep  | exit 0
#include "scenario.h"
#include <pthread.h>
#include <sys/epoll.h>

extern int heapwarden_check_leaks(void) __attribute__((weak));

static volatile int disturbed, is_waiting, is_over;

static NOINLINE void *make_block(void) { return malloc(1337); }

static void *waits(void *loses) {
    /* The only pointer is in this frame. */
    void *volatile block = make_block();
    if (loses) {
        block = NULL;
        scrub_stack();
    }
    struct epoll_event event;
    int epoll = epoll_create1(0);
    is_waiting = 1;
    while (!is_over)
        if (epoll_wait(epoll, &event, 1, 300) < 0 && errno == EINTR) disturbed++;
    free(block);
    return NULL;
}

int main(int argc, char **argv) {
    pthread_t thread;
    int loses = !strcmp(argv[2], "lose");
    if (!heapwarden_check_leaks) return 0;
    CHECK(pthread_create(&thread, NULL, waits, loses ? argv : NULL) == 0);
    while (!is_waiting) usleep(1000);
    usleep(20000);
    for (int i = 0; i < 5; i++) {
        CHECK(heapwarden_check_leaks() == loses);
        usleep(10000);
    }
    is_over = 1;
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(!strcmp(argv[1], "quiet") ? disturbed == 0 : disturbed > 0);
    return 0;
}
