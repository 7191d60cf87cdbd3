// crime: the program file is gone when the report is made
// origin: sanitizers 318, upgrades of running services
// case: crime    | lose | leak definite 1 blocks 32 bytes
// case: innocent | free | silent
#include "scenario.h"
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

int main(int argc, char **argv) {
    if (argc == 2) {
        struct stat data;
        int from = open("/proc/self/exe", O_RDONLY);
        int to = open("copy", O_CREAT | O_TRUNC | O_WRONLY, 0755);
        CHECK(from >= 0 && to >= 0 && fstat(from, &data) == 0);
        for (off_t left = data.st_size; left > 0;) left -= sendfile(to, from, NULL, (size_t)left);
        close(from);
        close(to);
        execl("./copy", "copy", argv[1], "again", (char *)NULL);
        CHECK(!"exec");
    }
    CHECK(unlink("copy") == 0);
    void *block = malloc(32);
    if (!strcmp(argv[1], "free")) free(block);
    lose(&block);
    scrub_stack();
    return 0;
}
