// Buffers that grow by realloc: as a vector does (by half, to 1 MiB) and as
// careless text building does (by a line, to 64 KiB), four of them at a time so
// that they stand in each other's way.
#include "loop.h"

enum { BUFFERS = 4, MOST_BY_HALF = 1 << 20, MOST_BY_LINE = 1 << 16 };

static size_t grow(unsigned char **buffer, size_t *size, size_t to) {
    *buffer = must(realloc(*buffer, to));
    if (*size > 0)
        expect((*buffer)[0] == 1 && (*buffer)[*size - 1] == 2);
    (*buffer)[0] = 1;
    (*buffer)[to - 1] = 2;
    *size = to;
    return 1;
}

int main(int argc, char **argv) {
    size_t n = allocations_wanted(argc, argv);
    random_t random = random_from(8);
    for (size_t made = 0; made < n;) {
        unsigned char *buffer[BUFFERS] = {0};
        size_t size[BUFFERS] = {0};
        for (int going = 1; going && made < n;) {
            going = 0;
            for (size_t i = 0; i < BUFFERS && made < n; i++) {
                size_t line = random_between(&random, 20, 120);
                size_t most = i % 2 ? MOST_BY_HALF : MOST_BY_LINE;
                if (size[i] >= most)
                    continue;
                going = 1;
                made += grow(&buffer[i], &size[i], i % 2 ? size[i] + size[i] / 2 + 16 : size[i] + line);
            }
        }
        for (size_t i = 0; i < BUFFERS; i++)
            free(buffer[i]);
    }
    return 0;
}
