// crime: code annotated for LeakSanitizer works as it is
// origin: LLVM disabler, ignore_object, register_root_region, lsan_annotations, recoverable_leak_check
// baseline: no
// case: plain     | plain    | leak definite 1 blocks 1337 bytes frame 0 make_block
// case: disabled  | disable  | silent
// case: ignored   | ignore   | silent
// case: root      | root     | silent
// case: unrooted  | unroot   | leak definite/possible 1 blocks 1337 bytes frame 0 make_block
// case: enabled-again | nested | leak definite 1 blocks 1337 bytes frame 0 make_block
// case: freed     | free     | silent
#include "scenario.h"
#include <dlfcn.h>
#include <sys/mman.h>

/* Weak: present when linked in, otherwise found by dlsym. */
extern void __lsan_disable(void) __attribute__((weak));
extern void __lsan_enable(void) __attribute__((weak));
extern void __lsan_ignore_object(const void *) __attribute__((weak));
extern void __lsan_register_root_region(const void *, size_t) __attribute__((weak));
extern void __lsan_unregister_root_region(const void *, size_t) __attribute__((weak));

typedef void (*plain_function)(void);
typedef void (*pointer_function)(const void *);
typedef void (*region_function)(const void *, size_t);

static void *find(const char *name, void *linked) {
    void *found = linked ? linked : dlsym(RTLD_DEFAULT, name);
    CHECK(found != NULL);
    return found;
}
#define FIND(type, name) ((type)find(#name, (void *)(name)))

static uintptr_t hidden_page;

static NOINLINE void *make_block(void) { return malloc(1337); }

/* A page alone between two that cannot be read, so that the kernel does not
   join it with a neighbour. */
static NOINLINE void *lonely_page(int flags) {
    char *pages = mmap(NULL, 3 * 4096, PROT_NONE, flags, -1, 0);
    CHECK((void *)pages != MAP_FAILED);
    CHECK(mprotect(pages + 4096, 4096, PROT_READ | PROT_WRITE) == 0);
    return pages + 4096;
}

static NOINLINE void scene(const char *what) {
    void *block;
    int disable = !strcmp(what, "disable") || !strcmp(what, "nested");
    if (disable) FIND(plain_function, __lsan_disable)();
    if (!strcmp(what, "nested")) FIND(plain_function, __lsan_enable)();
    block = make_block();
    if (!strcmp(what, "disable")) FIND(plain_function, __lsan_enable)();
    if (!strcmp(what, "ignore")) FIND(pointer_function, __lsan_ignore_object)(block);
    if (strstr(what, "root")) {
        void *volatile *page = lonely_page(MAP_PRIVATE | MAP_ANONYMOUS);
        page[3] = block;
        hidden_page = hide((void *)page);
        FIND(region_function, __lsan_register_root_region)((void *)page, 4096);
        if (!strcmp(what, "unroot")) FIND(region_function, __lsan_unregister_root_region)((void *)page, 4096);
    }
    if (!strcmp(what, "free")) free(block);
    lose(&block);
}

int main(int argc, char **argv) {
    scene(argv[1]);
    scrub_stack();
    return 0;
}
