// crime: the program has its own SIGABRT handler: it runs, and the process still dies
// origin: glibc abort(3), Firefox and Chrome crash handlers
// case: handler-returns | return | abort double-free size 64; stdout "caught"
// case: handler-exits   | exit   | error double-free size 64; any summary; exit 3
// case: ignored         | ignore | abort double-free size 64
// case: blocked         | block  | abort double-free size 64
// case: innocent        | none   | silent
#include "scenario.h"
#include <signal.h>

static void returning(int number) { CHECK(write(1, "caught\n", 7) == 7); }
static void exiting(int number) { _exit(3); }

int main(int argc, char **argv) {
    const char *how = argv[1];
    void *block = opaque(malloc(64));
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGABRT);
    if (!strcmp(how, "return")) signal(SIGABRT, returning);
    if (!strcmp(how, "exit")) signal(SIGABRT, exiting);
    if (!strcmp(how, "ignore")) signal(SIGABRT, SIG_IGN);
    if (!strcmp(how, "block")) sigprocmask(SIG_BLOCK, &set, NULL);
    free(block);
    if (strcmp(how, "none")) free(block);
    return 0;
}
