// crime: realloc of a freed block, free of a block that realloc released
// origin: LLVM double_free_realloc, scudo Realloc (after free dies)
// case: realloc-freed        | main 32 realloc-freed   | abort double-free/heap-use-after-free size 32 frame 0 use_again freed 0 free_once
// case: realloc-freed-large  | main 100K realloc-freed | abort double-free/heap-use-after-free size 102400 frame 0 use_again
// case: free-moved           | main 32 free-moved      | abort double-free size 32 frame 0 use_again
// case: free-moved-large     | main 100K free-moved    | abort double-free size 102400 frame 0 use_again
// case: realloc-zero         | main 32 realloc-zero    | abort double-free size 32 frame 0 use_again
// case: innocent             | main 32 innocent        | silent
// case: innocent-large       | main 100K innocent      | silent
#include "scene.h"

static NOINLINE void free_once(void *block) { free(block); }

static NOINLINE void use_again(void *block, size_t new_size) {
    if (new_size) free(opaque(realloc(block, new_size)));
    else free(block);
}

static void act(int argc, char **argv) {
    size_t size = size_argument(argv[0]);
    char *block = opaque(malloc(size));
    uintptr_t before = hide(block);
    memset(block, 1, size);
    if (strcmp(argv[1], "realloc-freed") == 0) {
        free_once(block);
        use_again(block, size + 10);
    } else if (strcmp(argv[1], "realloc-zero") == 0) {
        CHECK(realloc(block, 0) == NULL);
        use_again(reveal(before), 0);
    } else {
        /* The neighbours keep the block from growing where it is. */
        void *neighbours[8];
        for (int i = 0; i < 8; i++) neighbours[i] = opaque(malloc(size));
        char *moved = opaque(realloc(block, size * 64));
        CHECK(moved != NULL && moved != reveal(before));
        if (strcmp(argv[1], "free-moved") == 0) use_again(reveal(before), 0);
        free(moved);
        for (int i = 0; i < 8; i++) free(neighbours[i]);
    }
}
