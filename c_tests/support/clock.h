/* For programs that are judged by when they do what, on machines that may be busy. */
#ifndef CLOCK_H
#define CLOCK_H

#include "scenario.h"
#include <time.h>

static long longest_wait_ms;

static inline long now_ms(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* Sleeps, and takes note of how long it was kept from running between two calls. */
static inline void wait_ms(long ms) {
    static long last;
    struct timespec step = {0, ms * 1000000};
    nanosleep(&step, NULL);
    long now = now_ms();
    if (last && now - last > longest_wait_ms) longest_wait_ms = now - last;
    last = now;
}

/* How many times as slowly the program does what it does: 1, and twice as much each time that it
   began anew. */
static inline long slowness(void) {
    const char *tries = getenv("C_TEST_TRIES");
    return 1L << (tries ? strlen(tries) : 0);
}

/* Who was kept from running for so long did not do what the case is about: it begins anew, twice
   at most. */
static inline void begin_anew_if_kept_from_running(char **argv, long limit_ms) {
    const char *tries = getenv("C_TEST_TRIES");
    if (longest_wait_ms <= limit_ms * slowness() || (tries && strlen(tries) >= 2)) return;
    char text[8];
    snprintf(text, sizeof text, "%sx", tries ? tries : "");
    setenv("C_TEST_TRIES", text, 1);
    execv("/proc/self/exe", argv);
}

#endif
