// innocent: no environment and no arguments at all
// origin: scenarios.md 2 row 37, kernel argc == 0
// link: static full-static
// report: off
// case: innocent | 1 | exit 0
#include "scenario.h"

int main(int argc, char **argv, char **environment) {
    if (argc > 1) {
        char *nothing[] = {NULL};
        char *name[] = {(char *)"", NULL};
        execve("/proc/self/exe", name, nothing);
        CHECK(!"exec");
    }
    CHECK(environment[0] == NULL);
    free(opaque(malloc(100)));
    return 0;
}
