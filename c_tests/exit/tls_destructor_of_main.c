// innocent: key destructors do not run for main on exit; what its keys hold is reachable
// origin: EXIT-01, LLVM cleanup_in_tsd_destructor
// expect: silent
#include "scenario.h"
#include <pthread.h>

static pthread_key_t key;

static NOINLINE void fill(void) { CHECK(pthread_setspecific(key, malloc(1337)) == 0); }

int main(void) {
    CHECK(pthread_key_create(&key, free) == 0);
    fill();
    scrub_stack();
    return 0;
}
