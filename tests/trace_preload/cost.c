// What a capture costs: a chain of 43 different frames, at whose end malloc
// and free are called in a loop. With -DCONTEXTS=n the chain's last calls
// alternate between n call sites, so that the stack differs from call to call.
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#ifndef CONTEXTS
#define CONTEXTS 1
#endif
static long rounds;
static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e9 + time.tv_nsec;
}
__attribute__((noinline)) static void work(int size) {
    void *volatile block = malloc(size);
    free(block);
}
#define SITE(n) case n: work(16 + n); break;
__attribute__((noinline)) static void site(long n) {
    switch (n) { SITE(0) SITE(1) SITE(2) SITE(3) SITE(4) SITE(5) SITE(6) SITE(7)
                 SITE(8) SITE(9) SITE(10) SITE(11) SITE(12) SITE(13) SITE(14) SITE(15) }
    __asm__ volatile("");
}
#define UPPER(n) case n: site(k & 15); break;
__attribute__((noinline)) static void upper(long k) {
    switch (k >> 4 & 15) { UPPER(0) UPPER(1) UPPER(2) UPPER(3) UPPER(4) UPPER(5) UPPER(6) UPPER(7)
                 UPPER(8) UPPER(9) UPPER(10) UPPER(11) UPPER(12) UPPER(13) UPPER(14) UPPER(15) }
    __asm__ volatile("");
}
__attribute__((noinline)) static void bottom(void) {
    double best = 1e18;
    for (int repeat = 0; repeat < 20; repeat++) {
        double start = now();
        for (long i = 0; i < rounds; i++) upper(i % CONTEXTS);
        double time = (now() - start) / rounds;
        if (time < best) best = time;
    }
    if (rounds > 100) printf("%.2f ns a pair\n", best);
}
#define F(n, m) __attribute__((noinline)) static void f##n(void) { volatile char room[8 * (n % 7 + 1)]; room[0] = 1; m(); room[0] = 2; }
F(1, bottom) F(2, f1) F(3, f2) F(4, f3) F(5, f4) F(6, f5) F(7, f6) F(8, f7) F(9, f8) F(10, f9)
F(11, f10) F(12, f11) F(13, f12) F(14, f13) F(15, f14) F(16, f15) F(17, f16) F(18, f17) F(19, f18) F(20, f19)
F(21, f20) F(22, f21) F(23, f22) F(24, f23) F(25, f24) F(26, f25) F(27, f26) F(28, f27) F(29, f28) F(30, f29)
F(31, f30) F(32, f31) F(33, f32) F(34, f33) F(35, f34) F(36, f35) F(37, f36)
int main(int count, char **arguments) {
    rounds = count > 1 ? atol(arguments[1]) : 100000;
    f37();
    return 0;
}
