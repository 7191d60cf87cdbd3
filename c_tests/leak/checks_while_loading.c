// innocent: live checks while other threads open and close libraries, allocate, fork and send each other signals: no deadlock, nothing is lost
// origin: LLVM libdl_deadlock, high_allocator_contention, signal_during_stop_the_world, fork_threaded
// plugin: plugin plugin_tls.c
// baseline: no
// timeout: 60
// case: loading | loading {plugin} | any summary; exit 0
// case: busy    | busy             | any summary; exit 0
// case: signals | signals          | any summary; exit 0
// case: forks   | forks            | any summary; any child summary; exit 0
#include "scenario.h"
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

extern int heapwarden_check_leaks(void) __attribute__((weak));

static volatile int is_over;
static const char *what, *path;
static pthread_t main_thread;

static void on_signal(int number) { (void)number; }

static void *disturbs(void *unused) {
    void *blocks[32] = {NULL};
    for (unsigned round = 0; !is_over; round++) {
        if (!strcmp(what, "loading")) {
            void *plugin = dlopen(path, RTLD_NOW);
            CHECK(plugin != NULL && dlclose(plugin) == 0);
        } else if (!strcmp(what, "signals")) {
            CHECK(pthread_kill(main_thread, SIGUSR1) == 0);
            usleep(50);
        } else if (!strcmp(what, "forks")) {
            pid_t child = fork();
            if (child == 0) _exit(heapwarden_check_leaks ? heapwarden_check_leaks() != 0 : 0);
            int status;
            CHECK(child > 0);
            while (waitpid(child, &status, 0) < 0) CHECK(errno == EINTR);
            CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        }
        for (int i = 0; i < 32; i++) {
            free(blocks[i]);
            blocks[i] = malloc(16 + (round * 31 + i * 97) % 3000);
        }
    }
    for (int i = 0; i < 32; i++) free(blocks[i]);
    return unused;
}

int main(int argc, char **argv) {
    what = argv[1];
    path = argc > 2 ? argv[2] : NULL;
    main_thread = pthread_self();
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    pthread_t threads[3];
    int count = strcmp(what, "forks") ? 3 : 1;
    for (int i = 0; i < count; i++) CHECK(pthread_create(&threads[i], NULL, disturbs, NULL) == 0);
    for (int i = 0; i < 8; i++) {
        if (heapwarden_check_leaks) CHECK(heapwarden_check_leaks() == 0);
        usleep(1000);
    }
    is_over = 1;
    for (int i = 0; i < count; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    return 0;
}
