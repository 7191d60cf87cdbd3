// crime: the program overwrites its environment and arguments (as redis and nginx do for their title); options still hold
// origin: engine.md B pitfalls (setproctitle), redis
// case: crime    | lose | leak definite 1 blocks 32 bytes frame 0 make_block; exit 42
// options: exitcode=42
// case: innocent | free | silent
#include "scenario.h"

extern char **environ;

static NOINLINE void *make_block(void) { return malloc(32); }

int main(int argc, char **argv) {
    int release = !strcmp(argv[1], "free");
    char *last = argv[0];
    for (int i = 0; i < argc; i++) last = argv[i] + strlen(argv[i]);
    for (int i = 0; environ[i]; i++) last = environ[i] + strlen(environ[i]);
    memset(argv[0], 'x', (size_t)(last - argv[0]));
    environ = NULL;
    void *block = make_block();
    if (release) free(block);
    lose(&block);
    scrub_stack();
    return 0;
}
