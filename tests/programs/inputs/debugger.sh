set -eu
gcc -g -O0 "$INPUTS/debuggee.c" -o debuggee
gdb -nx -q -batch -ex 'set debuginfod enabled off' -ex 'break sum_of_squares' -ex run \
    -ex bt -ex 'print number[7]' -ex 'print count' -ex finish -ex continue ./debuggee
gdb -nx -q -batch -ex 'info functions sum_of' -ex 'list sum_of_squares' ./debuggee
