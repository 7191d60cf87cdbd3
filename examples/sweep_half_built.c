/* A planted bug for `heapwarden sweep`: a half-built struct is freed.
 *
 * release() frees every member; when open_session fails in the middle, the
 * later members were never set, and garbage is passed to free. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct session {
    char *name;
    char *buffer;
    char *log;
};

static void release(struct session *session) {
    free(session->name);
    free(session->buffer);
    free(session->log);
    free(session);
}

static struct session *open_session(const char *name) {
    struct session *session = malloc(sizeof *session); /* not zeroed */
    if (!session) return NULL;
    session->name = malloc(strlen(name) + 1);
    if (!session->name) {
        free(session); /* right: nothing else is there yet */
        return NULL;
    }
    strcpy(session->name, name);
    session->buffer = malloc(4096);
    if (!session->buffer) {
        release(session); /* wrong: session->log was never set */
        return NULL;
    }
    session->log = malloc(64);
    if (!session->log) {
        release(session); /* wrong only by luck: log is NULL */
        return NULL;
    }
    return session;
}

int main(void) {
    for (int i = 0; i < 3; i++) {
        struct session *session = open_session("guest");
        if (!session) return 1;
        release(session);
    }
    return 0;
}
