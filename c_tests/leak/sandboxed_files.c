// crime: no file descriptor is left for the library at exit; the verdict stands, or the check says that it could not be done
// origin: issue 2 "Bad input", REP-02
// report: off
// options: format=json:log_path={dir}/report
// case: crime    | lose | exit 23/24
// case: innocent | free | exit 0/24
#include "scenario.h"
#include <fcntl.h>
#include <sys/resource.h>

int main(int argc, char **argv) {
    struct rlimit few = {20, 20};
    CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
    while (open("/dev/null", O_RDONLY) >= 0) continue;
    CHECK(errno == EMFILE);
    void *block = malloc(32);
    if (!strcmp(argv[1], "free")) free(block);
    lose(&block);
    scrub_stack();
    return 0;
}
