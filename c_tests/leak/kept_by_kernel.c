// innocent: the only pointer lies in the kernel: epoll data, a timer's value
// origin: engine.md C 3 (epoll_data.ptr, timer sigev_value)
// case: epoll | epoll | silent
// case: timer | timer | silent
#include "scenario.h"
#include <signal.h>
#include <sys/epoll.h>
#include <time.h>

static NOINLINE void scene(const char *what) {
    void *block = malloc(1337);
    if (!strcmp(what, "epoll")) {
        int ends[2];
        int epoll = epoll_create1(0);
        struct epoll_event event;
        memset(&event, 0, sizeof event);
        event.events = EPOLLIN;
        event.data.ptr = block;
        CHECK(epoll >= 0 && pipe(ends) == 0);
        CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event) == 0);
        memset(&event, 0, sizeof event);
    } else {
        timer_t timer;
        struct sigevent event;
        memset(&event, 0, sizeof event);
        event.sigev_notify = SIGEV_SIGNAL;
        event.sigev_signo = SIGUSR1;
        event.sigev_value.sival_ptr = block;
        CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
        memset(&event, 0, sizeof event);
    }
    lose(&block);
}

int main(int argc, char **argv) {
    scene(argv[1]);
    scrub_stack();
    return 0;
}
