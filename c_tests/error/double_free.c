// crime: a block is freed twice, every size, everywhere
// origin: hardened_malloc double_free_{small,large}, OpenBSD t1, scudo MallocDoubleFree, LLVM double_free{,_large,_fork,_threaded}
// each: frame 0 free_again @again frame 1 act allocated 0 make_block @made allocated 1 act freed 0 free_once @once freed 1 act
// case: small         | main 32 twice        | abort double-free size 32 offset 0
// case: one-byte      | main 1 twice         | abort double-free size 1 offset 0
// case: zero          | main 0 twice         | abort double-free size 0 offset 0
// case: class-end     | main 1024 twice      | abort double-free size 1024 offset 0
// case: medium        | main 4000 twice      | abort double-free size 4000 offset 0
// case: medium-end    | main 32K twice       | abort double-free size 32768 offset 0
// case: large         | main 32769 twice     | abort double-free size 32769 offset 0
// case: large-200K    | main 200K twice      | abort double-free size 204800 offset 0
// case: huge          | main 8M twice        | abort double-free size 8388608 offset 0
// options: quarantine_mb=64
// case: thread        | thread 32 twice      | abort double-free size 32
// case: thread-large  | thread 200K twice    | abort double-free size 204800
// case: child         | child 32 twice       | child abort double-free size 32
// case: child-large   | child 200K twice     | child abort double-free size 204800
// case: constructor   | constructor 32 twice | abort double-free size 32
// case: atexit        | atexit 32 twice      | abort double-free size 32
// case: destructor    | destructor 32 twice  | abort double-free size 32
// case: storm         | storm 32 twice       | abort double-free size 32
// case: key           | key 32 twice         | abort double-free size 32
// case: innocent             | main 32 once            | silent
// case: innocent-zero        | main 0 once             | silent
// case: innocent-medium      | main 4000 once          | silent
// case: innocent-large       | main 200K once          | silent
// case: innocent-huge        | main 8M once            | silent
// case: innocent-thread      | thread 32 once          | silent
// case: innocent-child       | innocent-child 32 once  | silent
// case: innocent-constructor | constructor 32 once     | silent
// case: innocent-atexit      | atexit 32 once          | silent
// case: innocent-destructor  | destructor 32 once      | silent
// case: innocent-storm       | storm 32 once           | silent
// case: innocent-key         | key 32 once             | silent
#include "scene.h"

static NOINLINE void *make_block(size_t size) {
    return malloc(size); /* @made */
}

static NOINLINE void free_once(void *block) {
    free(block); /* @once */
}

static NOINLINE void free_again(void *block) {
    free(block); /* @again */
}

static void act(int argc, char **argv) {
    void *block = make_block(size_argument(argv[0]));
    CHECK(block != NULL);
    free_once(block);
    if (strcmp(argv[1], "twice") == 0) free_again(block);
}
