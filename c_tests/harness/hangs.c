// innocent: t0, a program that never ends
// link: none
// timeout: 1
// report: off
// expect: exit 0
#include <unistd.h>

int main(void) {
    for (;;) pause();
}
