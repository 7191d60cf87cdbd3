# g++ with all its helpers; an error's text and code as well.
set -eu
g++ -O1 -g -c "$INPUTS/regex.cpp" -o regex.o
cksum regex.o
g++ regex.o -o regex
./regex
printf 'int main() { return undeclared; }\n' >wrong.cpp
g++ -c wrong.cpp 2>&1 || echo "code $?"
printf 'int f(void); int main(void) { return f(); }\n' >main.c
printf 'int f(void) { return 42; }\n' >f.c
gcc -O2 -flto main.c f.c -o both
./both || echo "returns $?"
