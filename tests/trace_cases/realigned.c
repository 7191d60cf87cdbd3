// case: realigned frames (vectors on the stack) with room of changing size
// expect: complete
// flags: -O2 -mavx2
#include <alloca.h>
#include <stdlib.h>
#include <immintrin.h>

static unsigned seed = 7;
static unsigned draw(unsigned below) { return (seed = seed * 1103515245 + 12345) / 65536 % below; }
volatile __m256i keep;

__attribute__((noinline)) void *vector(int depth, long a, long b, long c, long d, long e, long f, long g) {
    __m256i local[4] __attribute__((aligned(64)));
    char *room = alloca(8 + draw(200));
    room[0] = (char)g;
    local[depth & 3] = _mm256_set1_epi32(depth + (int)(a + b + c + d + e + f));
    void *volatile block = malloc(32);
    free(block);
    if (depth) vector(depth - 1, a, b, c, d, e, f, g);
    keep = local[depth & 3];
    block = malloc(16);
    free(block);
    return room;
}
__attribute__((noinline)) void plain(int depth) {
    void *volatile block = malloc(48);
    if (depth) plain(depth - 1); else vector(draw(12), 1, 2, 3, 4, 5, 6, 7);
    free(block);
}
int main(void) {
    for (int round = 0; round < 500; round++) {
        if (draw(2)) vector(draw(12), 1, 2, 3, 4, 5, 6, 7); else plain(draw(12));
    }
}
