// case: code made at run time
// expect: incomplete
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static void work(void) { free(malloc(24)); free(malloc(8)); }
int main(void) {
    // push rbp; mov rbp, rsp; movabs rax, work; call rax; pop rbp; ret
    unsigned char code[] = {0x55, 0x48, 0x89, 0xe5, 0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xd0, 0x5d, 0xc3};
    void (*function)(void) = work;
    memcpy(code + 6, &function, 8);
    for (int round = 0; round < 200; round++) {
        unsigned char *page = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        unsigned char *at = page + round % 50 * 16;
        memcpy(at, code, sizeof code);
        ((void (*)(void))at)();
        ((void (*)(void))at)();
        munmap(page, 4096);
        work();
    }
}
