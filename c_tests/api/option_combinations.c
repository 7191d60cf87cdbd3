// innocent: the same work under every option that changes the heap
// origin: interface.md 2
// case: stack-0      | - | silent
// options: stack_depth=0
// case: stack-200    | - | silent
// options: stack_depth=200
// case: quarantine-0 | - | silent
// options: quarantine_mb=0
// case: quarantine-1 | - | silent
// options: quarantine_mb=1
// case: quarantine-big | - | silent
// options: quarantine_mb=512
// case: poison-none  | - | silent
// options: poison=none
// case: poison-full  | - | silent
// options: poison=full
// case: guard-1      | - | silent
// options: guard_sample=1
// case: guard-100    | - | silent
// options: guard_sample=100
// case: no-symbols   | - | silent
// options: symbolize=0
// case: no-segv      | - | silent
// options: handle_segv=0
// case: hidden       | - | silent
// options: hidden_leaks=1
#include "scenario.h"
#include <pthread.h>

static void *work(void *unused) {
    void *list = NULL;
    for (int i = 0; i < 20000; i++) {
        size_t size = 8 + (size_t)(i * 57) % 3000;
        void **block = malloc(size);
        memset(opaque(block), 1, size);
        *block = list;
        list = block;
        if (i % 3 == 0) {
            void *next = *(void **)list;
            free(list);
            list = next;
        }
        if (i % 1000 == 999)
            while (list) {
                void *next = *(void **)list;
                free(list);
                list = next;
            }
    }
    return unused;
}

int main(void) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, work, NULL) == 0);
    work(NULL);
    CHECK(pthread_join(thread, NULL) == 0);
    return 0;
}
