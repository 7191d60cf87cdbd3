/* Runs one act at a place that the first argument names, so that each crime can
   be tried everywhere a program can commit it:

     main         in main()
     thread       in a second thread
     child        in a forked child, which must die of SIGABRT
     innocent-child  in a forked child, which must exit 0
     constructor  before main()
     atexit       in a function registered with atexit()
     destructor   in a destructor function of the program
     storm        in main() while a 1 kHz timer signal allocates and frees
     key          in the destructor of a thread-specific key

   The program defines act(); it sees the arguments after the place. */
#ifndef SCENE_H
#define SCENE_H

#include "scenario.h"
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>

static void act(int argc, char **argv);

static int scene_argc;
static char **scene_argv;

static int scene_is(const char *place) { return scene_argc > 1 && strcmp(scene_argv[1], place) == 0; }
static void scene_act(void) { act(scene_argc - 2, scene_argv + 2); }

static void *scene_thread(void *unused) {
    scene_act();
    return unused;
}

static void scene_key_destructor(void *unused) { scene_act(); }

static void *scene_key_thread(void *unused) {
    pthread_key_t key;
    CHECK(pthread_key_create(&key, scene_key_destructor) == 0);
    CHECK(pthread_setspecific(key, &scene_argc) == 0);
    return unused;
}

static void scene_storm_signal(int number) {
    int saved = errno;
    free(opaque(malloc(40)));
    free(opaque(malloc(700)));
    errno = saved;
}

static void scene_storm(int on) {
    struct itimerval every = {{0, on ? 1000 : 0}, {0, on ? 1000 : 0}};
    signal(SIGALRM, scene_storm_signal);
    CHECK(setitimer(ITIMER_REAL, &every, NULL) == 0);
}

static void scene_child(int must_abort) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        scene_act();
        exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    if (must_abort) CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    else CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

__attribute__((constructor)) static void scene_constructor(int argc, char **argv) {
    scene_argc = argc;
    scene_argv = argv;
    if (scene_is("constructor")) scene_act();
}

__attribute__((destructor)) static void scene_destructor(void) {
    if (scene_is("destructor")) scene_act();
}

int main(int argc, char **argv) {
    pthread_t thread;
    if (scene_is("main")) scene_act();
    if (scene_is("thread") || scene_is("key")) {
        CHECK(pthread_create(&thread, NULL, scene_is("key") ? scene_key_thread : scene_thread, NULL) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
    }
    if (scene_is("child")) scene_child(1);
    if (scene_is("innocent-child")) scene_child(0);
    if (scene_is("atexit")) CHECK(atexit(scene_act) == 0);
    if (scene_is("storm")) {
        scene_storm(1);
        for (volatile long i = 0; i < 20000000; i++) continue;
        scene_act();
        scene_storm(0);
    }
    return 0;
}

#endif
