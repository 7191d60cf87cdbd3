// innocent: exceptions in flight, caught or stored hold what they hold when the program ends
// origin: engine.md C 3 (TLS: __cxa_eh_globals), LLVM lsan C++ tests
// case: in-handler | handler | silent
// case: stored     | stored  | silent
// case: nested     | nested  | silent
// case: thread     | thread  | silent
// case: lost       | lost    | leak definite 1 blocks 1337 bytes has-frame make_block
#include "scenario.h"
#include <exception>
#include <memory>
#include <pthread.h>

struct Trouble {
    char *block;
};

/* Not destroyed at exit. */
static std::exception_ptr &stored = *new std::exception_ptr;
static pthread_barrier_t ready;

static NOINLINE char *make_block() { return new char[1337]; }

static NOINLINE void fail() {
    Trouble trouble = {make_block()};
    throw trouble;
}

static void *waits(void *) {
    try {
        fail();
    } catch (...) {
        scrub_stack();
        pthread_barrier_wait(&ready);
        for (;;) pause();
    }
    return NULL;
}

int main(int, char **argv) {
    const char *what = argv[1];
    if (!strcmp(what, "thread")) {
        pthread_t thread;
        CHECK(pthread_barrier_init(&ready, NULL, 2) == 0);
        CHECK(pthread_create(&thread, NULL, waits, NULL) == 0);
        pthread_barrier_wait(&ready);
        scrub_stack();
        exit(0);
    }
    try {
        fail();
    } catch (...) {
        if (!strcmp(what, "stored")) stored = std::current_exception();
        if (!strcmp(what, "nested")) {
            try {
                throw 7;
            } catch (int) {
                scrub_stack();
                exit(0);
            }
        }
        scrub_stack();
        if (!strcmp(what, "handler")) exit(0);
    }
    scrub_stack();
    return 0;
}
