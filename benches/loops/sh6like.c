// After MicroQuill's sh6bench: batches of equal small blocks, most of them of
// a few bytes; a batch is freed in order, in reverse, or every second block
// first, and some batches outlive several others.
#include "loop.h"

enum { BATCH = 500, BATCHES = 8 };

typedef struct {
    void *block[BATCH];
    size_t size;
} batch_t;

static void drop(batch_t *batch, unsigned order) {
    if (batch->size == 0)
        return;
    for (size_t i = 0; i < BATCH; i++) {
        size_t at = order == 0 ? i
                  : order == 1 ? BATCH - 1 - i
                               : (i < BATCH / 2 ? 2 * i : 2 * (i - BATCH / 2) + 1);
        verify(batch->block[at], batch->size);
        free(batch->block[at]);
    }
    batch->size = 0;
}

int main(int argc, char **argv) {
    size_t n = allocations_wanted(argc, argv);
    random_t random = random_from(6);
    static batch_t batch[BATCHES];
    for (size_t made = 0; made < n; made += BATCH) {
        batch_t *next = &batch[random_between(&random, 0, BATCHES - 1)];
        drop(next, (unsigned)random_between(&random, 0, 2));
        // Halves at each step: 8-16 in half of the batches, up to 1000 rarely.
        size_t most = 16;
        while (most < 1000 && (random_next(&random) & (1u << 20)))
            most *= 2;
        next->size = random_between(&random, 8, most);
        for (size_t i = 0; i < BATCH; i++) {
            next->block[i] = must(malloc(next->size));
            sign(next->block[i], next->size);
        }
    }
    for (size_t i = 0; i < BATCHES; i++)
        drop(&batch[i], 0);
    return 0;
}
