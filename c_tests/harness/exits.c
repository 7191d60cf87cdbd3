// innocent: t0, a program that leaves no report
// link: none
// expect: silent
int main(void) { return 0; }
