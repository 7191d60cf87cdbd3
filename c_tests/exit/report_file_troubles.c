// crime: an unwritable log path, or a disk that is full, is told in one line and changes nothing else
// origin: issue 2 "Bad input", interface.md 3
// report: off
// case: no-such-folder  | lose | exit 23; stderr "heapwarden"; stderr "/no/such/folder"
// options: format=json:log_path=/no/such/folder/report
// case: beneath-a-file  | lose | exit 23; stderr "heapwarden"
// options: format=json:log_path={dir}/stdout/report
// case: full-disk       | lose full | exit 23
// options: format=json:log_path={dir}/full
// case: innocent-no-such-folder | free | exit 0; stderr "/no/such/folder"
// options: format=json:log_path=/no/such/folder/report
// case: innocent        | free | exit 0; no-stderr "heapwarden"
// options: format=json:log_path={dir}/fine
#include "scenario.h"
#include <signal.h>
#include <sys/resource.h>

int main(int argc, char **argv) {
    void *block = malloc(32);
    if (!strcmp(argv[1], "free")) free(block);
    lose(&block);
    if (argc > 2) {
        /* Every write to a regular file fails from here on, as on a full disk. */
        struct rlimit nothing = {0, 0};
        signal(SIGXFSZ, SIG_IGN);
        CHECK(setrlimit(RLIMIT_FSIZE, &nothing) == 0);
    }
    scrub_stack();
    return 0;
}
