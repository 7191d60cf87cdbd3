// innocent: with all mappings used up (vm.max_map_count) malloc serves what it can, gives NULL for the rest, and recovers
// origin: issue 5 (5), mimalloc 3 issue 1049, scenarios.md 2
// case: own-mappings | 0 | any exhaustion; exit 0
// case: guard-pages  | 1 | any exhaustion; exit 0
// options: guard_sample=1
#include "scenario.h"
#include <sys/mman.h>

enum { BLOCKS = 1200, PAGE = 4096 };
static void *blocks[BLOCKS];
static char *area;
static size_t pages;

/* Every second page with another protection: a mapping each. */
static void use_up_mappings(void) {
    long most = 65530;
    FILE *file = fopen("/proc/sys/vm/max_map_count", "r");
    CHECK(file && fscanf(file, "%ld", &most) == 1);
    fclose(file);
    if (most > 1000000) exit(0); /* this machine sets no limit worth the name */
    pages = (size_t)most * 2 + 2000;
    area = mmap(NULL, pages * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(area != MAP_FAILED);
    size_t done = 0;
    while (done < pages && mprotect(area + done * PAGE, PAGE, PROT_READ) == 0) done += 2;
    CHECK(done < pages && errno == ENOMEM);
}

static int fill(void) {
    static const size_t sizes[] = {24, 700, 5000, 40000, 300000, 1000000};
    int refused = 0;
    for (int i = 0; i < BLOCKS; i++) {
        size_t size = sizes[i % 6];
        errno = 0;
        blocks[i] = malloc(size);
        if (!blocks[i]) {
            CHECK(errno == ENOMEM);
            refused++;
            continue;
        }
        memset(blocks[i], i, i % 6 == 5 ? 100 : size);
    }
    return refused;
}

static void drop(void) {
    for (int i = 0; i < BLOCKS; i++) {
        if (blocks[i]) CHECK(*(unsigned char *)blocks[i] == (unsigned char)i);
        free(opaque(blocks[i]));
        blocks[i] = NULL;
    }
}

int main(int argc, char **argv) {
    (void)argc, (void)argv;
    CHECK(fill() == 0);
    drop();
    use_up_mappings();
    for (int round = 0; round < 3; round++) {
        fill();
        drop();
    }
    /* Freed mappings are found again. */
    CHECK(munmap(area, pages * PAGE) == 0);
    CHECK(fill() == 0);
    drop();
    return 0;
}
