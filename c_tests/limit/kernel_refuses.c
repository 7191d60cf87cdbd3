// innocent: the kernel refuses memory system calls from some moment on: malloc fails with ENOMEM, nothing crashes
// origin: scenarios.md 2 rows 29 and 30, OOM-03 (mprotect fails), mps 304
// case: mprotect | mprotect | any exhaustion; exit 0
// case: mmap     | mmap     | any exhaustion; any notice; any summary; exit 0/24
// case: madvise  | madvise  | any exhaustion; exit 0
#include "scenario.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static void refuse(int number) {
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOMEM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

#define MOST 20000
static char *blocks[MOST];

int main(int argc, char **argv) {
    int number = !strcmp(argv[1], "mprotect") ? SYS_mprotect : !strcmp(argv[1], "mmap") ? SYS_mmap : SYS_madvise;
    for (int i = 0; i < 100; i++) free(opaque(malloc((size_t)i * 1000)));
    refuse(number);
    for (int round = 0; round < 2; round++) {
        int count = 0;
        while (count < MOST) {
            size_t size = (size_t)(count * 37) % 20000 + 1;
            errno = 0;
            char *block = malloc(size);
            if (!block) {
                CHECK(errno == ENOMEM);
                break;
            }
            block[0] = block[size - 1] = 1;
            blocks[count++] = block;
        }
        while (count > 0) free(blocks[--count]);
    }
    return 0;
}
