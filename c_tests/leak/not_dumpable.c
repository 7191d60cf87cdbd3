// crime: a process that may not be dumped or traced, or that gave up its rights, is checked all the same
// origin: engine.md C 1 (PR_SET_DUMPABLE), C 5a note (EACCES after setuid)
// case: not-dumpable | dump lose | leak definite 1 blocks 32 bytes frame 0 make_block
// case: other-user   | user lose | leak definite 1 blocks 32 bytes
// case: innocent     | dump free | silent
#include "scenario.h"
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/stat.h>

static NOINLINE void *make_block(void) { return malloc(32); }

static void *wait_forever(void *unused) {
    for (;;) pause();
    return unused;
}

int main(int argc, char **argv) {
    pthread_t thread;
    if (!strcmp(argv[1], "dump")) CHECK(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0);
    if (!strcmp(argv[1], "user") && getuid() == 0) {
        /* The report is opened in this folder at the end. */
        CHECK(chmod(".", 0777) == 0);
        CHECK(setgid(65534) == 0 && setuid(65534) == 0);
    }
    CHECK(pthread_create(&thread, NULL, wait_forever, NULL) == 0);
    void *block = make_block();
    if (!strcmp(argv[2], "free")) free(block);
    lose(&block);
    scrub_stack();
    return 0;
}
