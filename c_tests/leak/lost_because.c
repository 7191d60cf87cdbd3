// crime: a block is lost because the block that held its address was freed
// origin: issue 4 (lost because); LeakSanitizer and Valgrind do not say it
// case: member       | member 1    | leak definite 1 blocks 40 bytes frame 0 make_member at lost_because.blocks 1 at lost_because.holder.size 24 stack-of lost_because.freed drop_owner stack-of lost_because.holder make_owner
// case: all-members  | member 300  | leak definite 300 blocks 12000 bytes at lost_because.blocks 300 stack-of lost_because.freed drop_owner
// case: some-members | some 1000   | leak definite 10 blocks 400 bytes at lost_because.blocks 10 stack-of lost_because.freed drop_owner
// case: last-word    | last 300    | leak definite 1 blocks 40 bytes at lost_because.holder.size 300 stack-of lost_because.freed drop_owner
// case: array        | array 400   | leak definite 400 blocks 16000 bytes at lost_because.blocks 400 stack-of lost_because.freed drop_array
// case: large-array  | array 50000 | leak definite 50000 blocks 2000000 bytes at lost_because.blocks 512 stack-of lost_because.freed drop_array
// case: in-a-thread  | thread      | leak definite 1 blocks 40 bytes stack-of lost_because.freed drop_owner at lost_because.freed.thread.number 2
// case: later-holder | twice       | leak definite 1 blocks 40 bytes stack-of lost_because.freed drop_other
// case: parent-holds | tree        | leak definite 1 blocks 24 bytes frame 0 make_owner stack-of lost_because.freed drop_owner; leak indirect 1 blocks 40 bytes lacks lost_because
// case: overwritten  | overwritten | leak definite 1 blocks 40 bytes lacks lost_because
// case: moved-array  | moved       | leak definite 1 blocks 40 bytes lacks lost_because
// case: reused-slot  | reused      | leak definite 1 blocks 40 bytes lacks lost_because
// case: switched-off | member 1    | leak definite 1 blocks 40 bytes lacks lost_because
// options: lost_because=0
// case: innocent           | member 5000 free  | silent
// case: innocent-array     | array 5000 free   | silent
// case: innocent-handed-on | handed            | silent
#include "scenario.h"
#include <pthread.h>

struct owner {
    void *member;
    void *other;
    long number;
};

static NOINLINE void *make_member(void) { return opaque(malloc(40)); }
static NOINLINE struct owner *make_owner(size_t bytes) { return opaque(calloc(1, bytes)); }
static NOINLINE void drop_owner(void *owner) { free(owner); scrub_stack(); }
static NOINLINE void drop_other(void *owner) { free(owner); scrub_stack(); }
static NOINLINE void drop_array(void *array) { free(array); scrub_stack(); }

static void *volatile kept;

static NOINLINE void members(int count, int each, int release) {
    for (int i = 0; i < count; i++) {
        struct owner *owner = make_owner(sizeof *owner);
        owner->member = make_member();
        if (release || i % each) free(owner->member);
        drop_owner(owner);
    }
}

static NOINLINE void array(int count, int release) {
    void **array = opaque(malloc(sizeof *array * (size_t)count));
    for (int i = 0; i < count; i++) array[i] = make_member();
    for (int i = 0; release && i < count; i++) free(array[i]);
    drop_array(array);
}

static void *in_thread(void *owner) { drop_owner(owner); return NULL; }

static NOINLINE void scene(int argc, char **argv) {
    const char *what = argv[1];
    int count = argc > 2 ? atoi(argv[2]) : 0, release = argc > 3;
    struct owner *owner = make_owner(sizeof *owner);
    if (!strcmp(what, "member")) members(count, 1, release);
    if (!strcmp(what, "some")) members(count, 100, 0);
    if (!strcmp(what, "array")) array(count, release);
    if (!strcmp(what, "last")) {
        char *large = opaque(calloc(1, (size_t)count));
        void *unused = make_member();
        memcpy(large + 8, &unused, sizeof unused); /* so that its words are looked at */
        free(unused);
        void *member = make_member();
        memcpy(large + count / 8 * 8 - 8, &member, sizeof member);
        drop_owner(large);
    }
    if (!strcmp(what, "thread")) {
        pthread_t thread;
        struct owner *shared = make_owner(sizeof *shared);
        shared->member = make_member();
        CHECK(!pthread_create(&thread, NULL, in_thread, shared));
        lose(&shared);
        CHECK(!pthread_join(thread, NULL));
    }
    if (!strcmp(what, "twice")) {
        struct owner *first = make_owner(sizeof *first), *second = make_owner(sizeof *second);
        first->member = second->member = make_member();
        drop_owner(first);
        drop_other(second);
    }
    if (!strcmp(what, "tree")) {
        struct owner *root = make_owner(sizeof *root), *child = make_owner(sizeof *child);
        root->member = child;
        child->member = make_member();
        lose(&child);
        drop_owner(root);
    }
    if (!strcmp(what, "overwritten")) {
        owner->member = make_member();
        owner->member = NULL;
    }
    if (!strcmp(what, "moved")) {
        void **array = opaque(malloc(100));
        array[0] = make_member();
        array = opaque(realloc(array, 50000));
        array[0] = NULL;
        free(array);
    }
    if (!strcmp(what, "reused")) {
        /* The member's slot has a new owner when the old holder is freed. */
        owner->member = make_member();
        struct owner *stale = make_owner(sizeof *stale);
        stale->member = owner->member;
        free(owner->member);
        owner->member = NULL;
        drop_owner(stale);
        for (int i = 0; i < 100000; i++) free(make_member());
        void *member = make_member();
        lose(&member);
    }
    if (!strcmp(what, "handed")) {
        owner->member = make_member();
        kept = owner->member;
        drop_owner(owner);
        free(kept);
        kept = owner = NULL;
    }
    free(owner);
}

int main(int argc, char **argv) {
    scene(argc, argv);
    scrub_stack();
    return 0;
}
