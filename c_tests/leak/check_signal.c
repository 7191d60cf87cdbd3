// crime: a signal asks the running process for a leak check
// origin: interface.md 2 (check_signal), 389ds 7645
// options: check_signal=SIGUSR2
// baseline: no
// expect: any summary
// case: crime    | lose | leak definite 1 blocks 1337 bytes frame 0 make_block; any leak definite; stdout "told while running"; exit 23
// case: innocent | free | any leak reachable; exit 0
#include "scenario.h"
#include <dirent.h>
#include <signal.h>

static NOINLINE void *make_block(void) { return malloc(1337); }

static NOINLINE void scene(int release) {
    void *block = make_block();
    if (release) free(block);
    lose(&block);
}

/* The report file of this process holds a line about a leak. */
static int told(void) {
    char name[64], bytes[8192];
    snprintf(name, sizeof name, "report.%d", (int)getpid());
    FILE *file = fopen(name, "r");
    if (!file) return 0;
    size_t length = fread(bytes, 1, sizeof bytes - 1, file);
    bytes[length] = 0;
    fclose(file);
    return strstr(bytes, "\"leak\"") != NULL;
}

int main(int argc, char **argv) {
    int release = !strcmp(argv[1], "free");
    scene(release);
    scrub_stack();
    raise(SIGUSR2);
    for (int i = 0; i < 100 && !told(); i++) {
        usleep(20000);
        if (release && i > 10) break;
    }
    if (told()) printf("told while running\n");
    CHECK(told() == !release);
    scrub_stack();
    return 0;
}
