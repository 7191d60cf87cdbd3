// crime: standard error is closed, or a full pipe nobody reads: the program still ends with its verdict
// origin: scenarios.md 2 row 39, REP-02
// report: off
// options: format=text
// case: closed      | closed lose | exit 23
// case: innocent    | closed free | exit 0
// case: reused      | reused lose | exit 23
// case: full-pipe   | pipe lose   | exit 23
// case: full-disk   | full lose   | exit 23
// note: descriptor 2 reused by the program for its own file must not receive more than the report
#include "scenario.h"
#include <fcntl.h>

int main(int argc, char **argv) {
    void *block = malloc(32);
    if (!strcmp(argv[2], "free")) free(block);
    lose(&block);
    if (!strcmp(argv[1], "pipe")) {
        int ends[2];
        char bytes[4096] = {0};
        CHECK(pipe(ends) == 0);
        CHECK(fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0);
        while (write(ends[1], bytes, sizeof bytes) > 0) continue;
        CHECK(dup2(ends[1], 2) == 2);
    } else {
        close(2);
    }
    if (!strcmp(argv[1], "full")) CHECK(open("/dev/full", O_WRONLY) == 2);
    if (!strcmp(argv[1], "reused")) CHECK(open("own_file", O_CREAT | O_RDWR, 0600) == 2);
    scrub_stack();
    return 0;
}
