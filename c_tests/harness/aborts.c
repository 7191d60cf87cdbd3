// innocent: t0, the harness sees an abort
// link: none
// report: off
// expect: signal SIGABRT
#include <stdlib.h>

int main(void) { abort(); }
