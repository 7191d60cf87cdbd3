// crime: the check needs no ptrace: a sandbox forbids it, or kills whoever tries
// origin: engine.md C 1 (seccomp ptrace->EPERM, ->KILL), sanitizers 764 777 1170
// case: refused  | 1 lose | leak definite 1 blocks 32 bytes frame 0 make_block
// case: killed   | 2 lose | leak definite 1 blocks 32 bytes frame 0 make_block
// case: innocent | 2 free | silent
#include "scenario.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static NOINLINE void *make_block(void) { return malloc(32); }

static void *wait_forever(void *unused) {
    for (;;) pause();
    return unused;
}

int main(int argc, char **argv) {
    unsigned verdict = argv[1][0] == '1' ? SECCOMP_RET_ERRNO | EPERM : SECCOMP_RET_KILL_PROCESS;
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ptrace, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, verdict),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, wait_forever, NULL) == 0);
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
    void *block = make_block();
    if (!strcmp(argv[2], "free")) free(block);
    lose(&block);
    scrub_stack();
    return 0;
}
