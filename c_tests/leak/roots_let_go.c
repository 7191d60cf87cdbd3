// crime: each place that held the only pointer to a block gives it up: the block is lost from then on
// origin: engine.md C 3, the other half of each case of leak/kept_by_*; LLVM use_* with the root switched off
// each: frame 0 make_block
// plugin: plugin plugin_tls.c
// case: global      | global      | leak definite 1 blocks 1337 bytes
// case: tls         | tls         | leak definite 1 blocks 1337 bytes
// case: dynamic-tls | dynamic {plugin} | leak definite 1 blocks 1337 bytes
// case: low-key     | low-key     | leak definite 1 blocks 1337 bytes
// case: high-key    | high-key    | leak definite 1 blocks 1337 bytes
// case: deleted-key | deleted-key | leak definite 1 blocks 1337 bytes
// case: epoll       | epoll       | leak definite 1 blocks 1337 bytes
// case: closed-epoll | closed     | leak definite 1 blocks 1337 bytes
// case: timer       | timer       | leak definite 1 blocks 1337 bytes
// case: joined      | joined      | leak definite 1 blocks 1337 bytes
// case: argument    | argument    | leak definite 1 blocks 1337 bytes
// case: context     | context     | leak definite 1 blocks 1337 bytes
// case: handler     | handler     | leak definite 1 blocks 1337 bytes
// case: mapping     | mapping     | leak definite 1 blocks 1337 bytes
// case: shared      | shared      | leak definite 1 blocks 1337 bytes
// case: innocent    | none        | silent
#include "scenario.h"
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <time.h>
#include <ucontext.h>

static void *volatile global;
static __thread void *volatile local;
static void *volatile *volatile place;
static ucontext_t outer, inner;
static char coroutine_stack[64 * 1024], handler_stack[64 * 1024];

static NOINLINE void *make_block(void) { return malloc(1337); }

static void *returns_it(void *unused) { return make_block(); }

static void *takes_it(void *block) { return NULL; }

static void body(void) {
    void *volatile block = make_block();
    (void)block;
    swapcontext(&inner, &outer);
    block = NULL;
}

static void on_signal(int number) {
    void *volatile block = make_block();
    (void)block;
}

static NOINLINE void with_key(int index, int deletes) {
    pthread_key_t keys[160];
    for (int i = 0; i <= index; i++) CHECK(pthread_key_create(&keys[i], NULL) == 0);
    CHECK(pthread_setspecific(keys[index], make_block()) == 0);
    CHECK(deletes || pthread_setspecific(keys[index], NULL) == 0);
    for (int i = 0; deletes && i <= index; i++) {
        CHECK(pthread_key_delete(keys[i]) == 0);
        /* glibc keeps the value until the key is used again. */
        CHECK(pthread_key_create(&keys[i], NULL) == 0 && pthread_setspecific(keys[i], "") == 0);
    }
}

static NOINLINE void with_epoll(int closes) {
    int ends[2], epoll = epoll_create1(0);
    struct epoll_event event;
    memset(&event, 0, sizeof event);
    event.events = EPOLLIN;
    event.data.ptr = make_block();
    CHECK(epoll >= 0 && pipe(ends) == 0);
    CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event) == 0);
    memset(&event, 0, sizeof event);
    CHECK((closes ? close(epoll) : epoll_ctl(epoll, EPOLL_CTL_DEL, ends[0], &event)) == 0);
}

static NOINLINE void with_timer(void) {
    timer_t timer;
    struct sigevent event;
    memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = SIGUSR1;
    event.sigev_value.sival_ptr = make_block();
    CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    memset(&event, 0, sizeof event);
    CHECK(timer_delete(timer) == 0);
}

static NOINLINE void with_thread(int passes) {
    pthread_t thread;
    void *value = passes ? make_block() : NULL;
    CHECK(pthread_create(&thread, NULL, passes ? takes_it : returns_it, value) == 0);
    CHECK(pthread_join(thread, &value) == 0);
    lose(&value);
}

static NOINLINE void with_context(void) {
    CHECK(getcontext(&inner) == 0);
    inner.uc_stack.ss_sp = coroutine_stack;
    inner.uc_stack.ss_size = sizeof coroutine_stack;
    inner.uc_link = &outer;
    makecontext(&inner, body, 0);
    CHECK(swapcontext(&outer, &inner) == 0);
    CHECK(swapcontext(&outer, &inner) == 0);
    memset(coroutine_stack, 0, sizeof coroutine_stack);
    memset(&inner, 0, sizeof inner);
    memset(&outer, 0, sizeof outer);
}

static NOINLINE void with_handler(void) {
    stack_t stack;
    struct sigaction action;
    memset(&stack, 0, sizeof stack);
    stack.ss_sp = handler_stack;
    stack.ss_size = sizeof handler_stack;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    action.sa_flags = SA_ONSTACK;
    CHECK(sigaltstack(&stack, NULL) == 0 && sigaction(SIGUSR1, &action, NULL) == 0);
    CHECK(raise(SIGUSR1) == 0);
    memset(handler_stack, 0, sizeof handler_stack);
}

static NOINLINE void with_mapping(int sharing) {
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | sharing, -1, 0);
    CHECK(page != MAP_FAILED);
    place = page;
    *place = make_block();
    CHECK(munmap(page, 4096) == 0);
}

static NOINLINE void with_plugin(const char *path) {
    void *plugin = dlopen(path, RTLD_NOW);
    CHECK(plugin != NULL);
    void **(*slot)(void) = (void **(*)(void))dlsym(plugin, "plugin_slot");
    CHECK(slot != NULL);
    *slot() = make_block();
    *slot() = NULL;
}

int main(int argc, char **argv) {
    const char *what = argv[1];
    if (!strcmp(what, "global")) global = make_block();
    if (!strcmp(what, "tls")) local = make_block();
    if (!strcmp(what, "dynamic")) with_plugin(argv[2]);
    if (!strcmp(what, "low-key")) with_key(0, 0);
    if (!strcmp(what, "high-key")) with_key(150, 0);
    if (!strcmp(what, "deleted-key")) with_key(20, 1);
    if (!strcmp(what, "epoll")) with_epoll(0);
    if (!strcmp(what, "closed")) with_epoll(1);
    if (!strcmp(what, "timer")) with_timer();
    if (!strcmp(what, "joined")) with_thread(0);
    if (!strcmp(what, "argument")) with_thread(1);
    if (!strcmp(what, "context")) with_context();
    if (!strcmp(what, "handler")) with_handler();
    if (!strcmp(what, "mapping")) with_mapping(MAP_PRIVATE);
    if (!strcmp(what, "shared")) with_mapping(MAP_SHARED);
    if (!strcmp(what, "none")) free(make_block());
    global = local = NULL;
    scrub_stack();
    return 0;
}
