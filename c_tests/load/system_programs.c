// innocent: system programs run under the preload without a foreign free or any other error
// origin: scenarios.md 2 row 15, LOAD-04
// link: preload
// note: they may leak, which is theirs; any error record is a failure
// options: exitcode=0
// expect: any leak
// expect: any warning
// expect: exit 0
// case: true    | /bin/true
// case: ls      | /bin/ls -l /
// case: bash    | /bin/bash -c "for i in 1 2 3; do x=$(echo $i); done; echo done" | stdout "done"
// case: dash    | /bin/sh -c "echo a; echo b" | stdout "b"; any summary
// case: perl    | /usr/bin/perl -e "my %h = map { $_ => 1 } 1..1000; print scalar keys %h" | stdout "1000"
// case: sort    | /usr/bin/sort /etc/passwd | stdout "root"
// case: grep    | /bin/grep root /etc/passwd | stdout "root"
// case: sed     | /bin/sed s/root/ROOT/ /etc/passwd | stdout "ROOT"
// case: tar     | /bin/tar cf /dev/null /etc/passwd
// case: gzip    | /bin/gzip -c /etc/passwd
// case: find    | /usr/bin/find /etc -maxdepth 1 -name passwd | stdout "passwd"
// case: date    | /bin/date
// case: df      | /bin/df /
// case: id      | /usr/bin/id
// case: env     | /usr/bin/env | stdout "C_TEST_LINK"
// case: awk     | /usr/bin/awk "BEGIN { for (i = 0; i < 1000; i++) s = s i; print length(s) }" | stdout "2890"
// case: cc      | /usr/bin/cc -x c -c /dev/null -o null.o
// case: ldd     | /usr/bin/ldd /bin/ls | stdout "libc.so.6"
// case: getent  | /usr/bin/getent passwd root | stdout "root"
// case: python3 | /usr/bin/env python3 -c "print(sum(range(1000)))" | stdout "499500"
#include "scenario.h"

int main(int argc, char **argv) {
    execv(argv[1], argv + 1);
    CHECK(!"exec");
}
