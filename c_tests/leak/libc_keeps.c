// innocent: what libc keeps on purpose is no leak of the program (LEAK-01)
// origin: scenarios.md 2 row 14
// link: both
// expect: silent
#include "scenario.h"
#include <dlfcn.h>
#include <locale.h>
#include <netdb.h>
#include <pthread.h>
#include <time.h>

static void *thread(void *unused) {
    printf("in a thread\n");
    return unused;
}

int main(void) {
    pthread_t id;
    setlocale(LC_ALL, "C.UTF-8");
    printf("hello %s\n", "world");
    time_t now = time(NULL);
    char text[100];
    CHECK(strftime(text, sizeof text, "%c", localtime(&now)) > 0);
    struct addrinfo *found = NULL;
    if (getaddrinfo("127.0.0.1", "80", NULL, &found) == 0) freeaddrinfo(found);
    void *library = dlopen("libm.so.6", RTLD_NOW);
    if (library) dlclose(library);
    (void)dlsym(RTLD_DEFAULT, "no_such_symbol_anywhere");
    (void)dlerror();
    setenv("C_TEST_NEW_VARIABLE", "value", 1);
    putenv(strdup("C_TEST_OTHER=value"));
    CHECK(pthread_create(&id, NULL, thread, NULL) == 0);
    CHECK(pthread_join(id, NULL) == 0);
    FILE *file = tmpfile();
    CHECK(file != NULL);
    fprintf(file, "x");
    fclose(file);
    return 0;
}
