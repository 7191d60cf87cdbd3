// innocent: a fault that has nothing to do with the heap is passed on untouched
// origin: tcmalloc NonGwpAsanSegv, issue 3 (4)
// case: null-read     | null  | any warning; signal SIGSEGV
// case: unmapped      | wild  | any warning; signal SIGSEGV
// case: read-only     | const | any warning; signal SIGSEGV
// case: own-handler   | handled | silent; stdout "handled"
// case: own-handler-early | early | silent; stdout "handled"
// case: bus           | bus   | any warning; signal SIGBUS
#include "scenario.h"
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

static sigjmp_buf back;
static const char constant[4096] __attribute__((aligned(4096))) = "x";

static void handler(int number, siginfo_t *info, void *context) {
    CHECK(info->si_addr == (void *)16);
    siglongjmp(back, 1);
}

static void install(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = handler;
    action.sa_flags = SA_SIGINFO;
    CHECK(sigaction(SIGSEGV, &action, NULL) == 0);
}

__attribute__((constructor)) static void early(int argc, char **argv) {
    if (argc > 1 && !strcmp(argv[1], "early")) install();
}

int main(int argc, char **argv) {
    const char *what = argv[1];
    free(opaque(malloc(100)));
    if (!strcmp(what, "null")) *(volatile int *)opaque(NULL) = 1;
    if (!strcmp(what, "wild")) *(volatile int *)opaque((void *)0x123456789000) = 1;
    if (!strcmp(what, "const")) *(volatile char *)opaque(constant) = 1;
    if (!strcmp(what, "bus")) {
        int file = open("empty", O_CREAT | O_RDWR, 0600);
        char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        CHECK(page != MAP_FAILED);
        *(volatile char *)page = 1;
    }
    if (!strcmp(what, "handled")) install();
    for (int i = 0; i < 3; i++)
        if (!sigsetjmp(back, 1)) *(volatile int *)opaque((void *)16) = 1;
    free(opaque(malloc(100)));
    puts("handled");
    return 0;
}
