/* Replays a script: its lines are the arguments of do_() in operations.h, as
   decimal numbers. Reads it without allocating. */
#include "operations.h"
#include <fcntl.h>

static char text[1 << 20];

static size_t next_number(const char **at) {
    size_t value = 0;
    while (**at == ' ' || **at == '\n') (*at)++;
    for (; **at >= '0' && **at <= '9'; (*at)++) value = value * 10 + (size_t)(**at - '0');
    return value;
}

static NOINLINE void replay(void) {
    const char *at = text;
    while (*at) {
        size_t values[7];
        for (int i = 0; i < 7; i++) values[i] = next_number(&at);
        while (*at == ' ' || *at == '\n') at++;
        do_((int)values[0], (int)values[1], (int)values[2], (int)values[3], values[4], values[5], values[6]);
    }
}

int main(int argc, char **argv) {
    int file = argc > 1 ? open(argv[1], O_RDONLY) : 0;
    size_t length = 0;
    ssize_t count;
    if (file < 0) return 95;
    while (length < sizeof text - 1 && (count = read(file, text + length, sizeof text - 1 - length)) > 0)
        length += (size_t)count;
    start();
    replay();
    scrub();
    return 0;
}
