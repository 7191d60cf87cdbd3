// crime: in a set-user-id program the environment is ignored and no file is opened
// origin: scenarios.md 2 row 37, SEC-01, jemalloc 173
// link: static full-static
// note: needs root to make the set-user-id copy, and a file system that honours it; otherwise nothing is tried
// report: off
// options: log_path={dir}/report:exitcode=77
// case: crime    | lose | exit 23
// case: innocent | free | exit 0
#include "scenario.h"
#include <sys/auxv.h>
#include <sys/sendfile.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

static void copy_self(const char *path) {
    int from = open("/proc/self/exe", O_RDONLY);
    int to = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0755);
    struct stat data;
    CHECK(from >= 0 && to >= 0 && fstat(from, &data) == 0);
    off_t left = data.st_size;
    while (left > 0) {
        ssize_t done = sendfile(to, from, NULL, (size_t)left);
        CHECK(done > 0);
        left -= done;
    }
    close(from);
    CHECK(fchown(to, 0, 0) == 0 && fchmod(to, 04755) == 0);
    close(to);
}

int main(int argc, char **argv) {
    int release = !strcmp(argv[1], "free");
    if (argc > 2) {
        if (!getauxval(AT_SECURE)) {
            /* Not honoured here: end as the expectation wants. */
            _exit(release ? 0 : 23);
        }
        void *block = malloc(32);
        if (release) free(block);
        lose(&block);
        scrub_stack();
        return 0;
    }
    char path[] = "/tmp/heapwarden-secure-XXXXXX";
    if (getuid() != 0) _exit(release ? 0 : 23);
    CHECK(mkdtemp(path) != NULL && chmod(path, 0755) == 0 && chmod(".", 0777) == 0);
    char program[100];
    snprintf(program, sizeof program, "%s/program", path);
    copy_self(program);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK(setgid(65534) == 0 && setuid(65534) == 0);
        execl(program, program, argv[1], "again", (char *)NULL);
        _exit(FAILED);
    }
    int status;
    char name[64];
    CHECK(waitpid(child, &status, 0) == child);
    unlink(program);
    rmdir(path);
    CHECK(WIFEXITED(status));
    snprintf(name, sizeof name, "report.%d", (int)child);
    CHECK(access(name, F_OK) != 0);
    _exit(WEXITSTATUS(status));
}
