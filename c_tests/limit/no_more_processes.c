// crime: no further process may be started: the check and the report do without
// origin: engine.md C 2g (rlimit fallback = in process)
// note: only a user without privileges is held by the limit; root gives up its rights first
// case: crime    | lose | leak definite 1 blocks 32 bytes; any notice
// case: innocent | free | silent
#include "scenario.h"
#include <sys/resource.h>
#include <sys/stat.h>

int main(int argc, char **argv) {
    struct rlimit one = {1, 1};
    CHECK(chmod(".", 0777) == 0);
    if (getuid() == 0) CHECK(setgid(54321) == 0 && setuid(54321) == 0);
    CHECK(setrlimit(RLIMIT_NPROC, &one) == 0);
    void *block = malloc(32);
    if (!strcmp(argv[1], "free")) free(block);
    lose(&block);
    scrub_stack();
    return 0;
}
