// innocent: a vfork child allocates and frees in the parent's memory, then execs
// origin: scenarios.md 2 row 10, FORK-07
// options: detect_leaks=1
// expect: silent
#include "scenario.h"
#include <sys/wait.h>

static void *volatile from_child;

int main(void) {
    for (int i = 0; i < 20; i++) {
        void *mine = opaque(malloc(100));
        pid_t child = vfork();
        CHECK(child >= 0);
        if (child == 0) {
            void *block = opaque(malloc(3000));
            memset(block, 1, 3000);
            free(block);
            from_child = opaque(malloc(50));
            execl("/bin/true", "true", (char *)NULL);
            _exit(FAILED);
        }
        int status;
        CHECK(waitpid(child, &status, 0) == child && status == 0);
        free(mine);
        free(from_child);
        from_child = NULL;
    }
    return 0;
}
