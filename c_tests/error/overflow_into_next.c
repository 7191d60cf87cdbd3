// crime: an overflow runs over the blocks behind; the first to be freed is a victim, the report names the culprit
// origin: issue 3 (1), "an overflow that runs into the next slot: report the block it came from"
// note: all are of one size class; with halt_on_error=0 one crime is one record
// case: into-next    | 9   free | abort heap-buffer-overflow size 40 offset 40 frame 0 free_victim allocated 0 make_block
// case: over-three   | 200 free | abort heap-buffer-overflow size 40 offset 40 frame 0 free_victim allocated 0 make_block
// case: at-exit      | 200 keep | abort heap-buffer-overflow size 40 offset 40 allocated 0 make_block
// case: one-record   | 200 free | error heap-buffer-overflow size 40 offset 40 frame 0 free_victim allocated 0 make_block; exit 23
// options: halt_on_error=0
// case: underflow    | -1  free | error heap-buffer-underflow size 35 offset -1 frame 0 free_culprit allocated 0 make_victim; exit 23
// options: halt_on_error=0
// case: innocent     | 0   free | silent
#include "scenario.h"

#define COUNT 64
static char *blocks[COUNT];

static NOINLINE char *make_block(void) { return malloc(40); }
static NOINLINE char *make_victim(void) { return malloc(35); }
static NOINLINE void free_victim(char *block) { free(block); }
static NOINLINE void free_culprit(char *block) { free(block); }

int main(int argc, char **argv) {
    long past = atol(argv[1]);
    char *culprit = NULL, *victim = NULL;
    int i;
    /* Until a victim lies right behind a culprit, and victims behind it. */
    for (i = 0; i + 8 < COUNT && !victim; i++) {
        culprit = blocks[i] = opaque(make_block());
        char *behind = opaque(make_victim());
        if (behind == culprit + 48) victim = behind;
        else blocks[++i] = behind;
    }
    CHECK(victim);
    for (; i < COUNT; i++) blocks[i] = opaque(make_victim());
    if (past < 0) damage(victim - 1);
    for (long at = 0; at < past; at++) damage(culprit + 40 + at);
    if (!strcmp(argv[2], "keep")) return 0;
    if (past < 0) {
        for (i = 0; i < COUNT && blocks[i] != culprit; i++) {}
        blocks[i] = NULL;
        free_culprit(culprit);
        free(victim);
    } else {
        free_victim(victim);
    }
    for (i = 0; i < COUNT; i++) free(blocks[i]);
    return 0;
}
