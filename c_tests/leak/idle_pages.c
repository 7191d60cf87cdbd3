// crime: a list that only grows and that nobody reads: the pages of its older blocks stay untouched, which the record says
// origin: issue 4 (idleness of pages as evidence), SafeMem (HPCA 2005), LeakChaser's and Sleigh's "staleness"
// note: each program runs for 2.4 seconds by the clock, however slow the machine; its twins use the list all the time
// link: preload
// timeout: 60
// options: hidden_leaks=1:exitcode=0
// baseline: no
// case: list      | list      | hidden-leak frame 0 leak_here at-least evidence.idle_share 0.9 at-least evidence.idle_ms 100
// case: spans     | spans     | hidden-leak frame 0 leak_here at-least evidence.idle_share 0.9
// case: live      | live      | hidden-leak frame 0 leak_here at-least evidence.idle_share 0.9; any hidden-leak; any summary
// case: told      | list      | exit 0; stderr "of its older memory was not touched for"
// report: off
// case: read      | read      | hidden-leak frame 0 leak_here at-most evidence.idle_share 0.1
// case: written   | written   | hidden-leak frame 0 leak_here at-most evidence.idle_share 0.1
// case: by-kernel | by-kernel | hidden-leak frame 0 leak_here at-most evidence.idle_share 0.1
// case: unknown   | sandboxed | hidden-leak frame 0 leak_here lacks evidence.idle_share lacks evidence.idle_ms
// case: table     | table     | silent
// case: table-read | table-read | silent
#include "clock.h"
#include <fcntl.h>
#include <sys/resource.h>

enum { LIFE_MS = 2400, AT_ONCE = 4000, EACH_MS = 20 };

extern int heapwarden_check_leaks(void) __attribute__((weak));

struct node { struct node *next; long key; char bytes[40]; };
static struct node *volatile head;
static long made;
static int zero = -1;

static NOINLINE struct node *leak_here(size_t bytes) { return malloc(bytes); }
static NOINLINE struct node *innocent(size_t bytes) { return malloc(bytes); }

/* Grows with the clock, not with the steps that the machine lets us make. */
static NOINLINE void grow(struct node *(*make)(size_t), size_t bytes, long wanted) {
    for (; made < wanted; made++) {
        struct node *node = make(bytes);
        CHECK(node != NULL);
        memset(node, 1, bytes);
        node->next = head;
        node->key = made;
        head = node;
    }
}

static NOINLINE long read_all(void) {
    long sum = 0;
    for (struct node *node = head; node; node = node->next) sum += node->key;
    return sum;
}

static void run(const char *what) {
    int is_table = !strncmp(what, "table", 5);
    size_t bytes = !strcmp(what, "spans") ? 100000 : sizeof(struct node);
    long divisor = bytes == 100000 ? 40 : 1;
    long begun = now_ms(), checked = 0;
    for (;;) {
        long age = (now_ms() - begun) / slowness();
        if (!is_table) grow(leak_here, bytes, (AT_ONCE + EACH_MS * age) / divisor);
        else if (made == 0) grow(innocent, bytes, AT_ONCE);
        if (!strcmp(what, "read") || !strcmp(what, "table-read")) CHECK(read_all() >= 0);
        for (struct node *node = head; node && !strcmp(what, "written"); node = node->next) node->bytes[0]++;
        for (struct node *node = head; node && !strcmp(what, "by-kernel"); node = node->next->next) {
            CHECK(read(zero, node->bytes, 8) == 8);
            if (!node->next) break;
        }
        if (!strcmp(what, "live") && age > 1000 && !checked) { checked = 1; CHECK(heapwarden_check_leaks && heapwarden_check_leaks() == 0); }
        /* Also after a long wait for the processor it has grown up to now. */
        if (age >= LIFE_MS) break;
        wait_ms(2);
    }
}

int main(int argc, char **argv) {
    const char *what = argv[1];
    zero = open("/dev/zero", O_RDONLY);
    if (!strcmp(what, "sandboxed")) {
        /* No file can be opened while the kernel would be asked to take notes. */
        struct rlimit few, none = {0, 0};
        CHECK(getrlimit(RLIMIT_NOFILE, &few) == 0);
        none.rlim_max = few.rlim_max;
        CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
        run(what);
        CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
    } else {
        run(what);
    }
    begin_anew_if_kept_from_running(argv, LIFE_MS / 16);
    return 0;
}
