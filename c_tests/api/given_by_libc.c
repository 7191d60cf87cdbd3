// innocent: what libc allocates with our malloc, the program frees with our free
// origin: mimalloc realpath, glibc tst-interpose-*, interface.md 4
// expect: silent
#include "scenario.h"
#include <dirent.h>
#include <stdarg.h>
#include <wchar.h>

int main(void) {
    char *text = NULL, *line = NULL;
    size_t room = 0;
    free(opaque(strdup("text")));
    free(opaque(strndup("text", 2)));
    CHECK(asprintf(&text, "%d %s", 5, "five") == 6 && strcmp(text, "5 five") == 0);
    free(opaque(text));
    free(opaque(realpath("/proc/self/exe", NULL)));
    free(opaque(getcwd(NULL, 0)));
    FILE *file = fopen("/etc/passwd", "r");
    CHECK(file != NULL);
    CHECK(getline(&line, &room, file) > 0);
    CHECK(getdelim(&line, &room, ':', file) > 0);
    fclose(file);
    free(line);
    size_t length = 0;
    FILE *memory = open_memstream(&text, &length);
    for (int i = 0; i < 1000; i++) fprintf(memory, "%d ", i);
    fclose(memory);
    CHECK(length == 3890);
    free(opaque(text));
    free(opaque(wcsdup(L"wide")));
    struct dirent **entries = NULL;
    int count = scandir("/", &entries, NULL, alphasort);
    CHECK(count > 2);
    for (int i = 0; i < count; i++) free(entries[i]);
    free(entries);
    return 0;
}
