# Small programs of the system, their pipes and their exit codes.
set -u
ls / >/dev/null; echo "ls $?"
ls /nowhere 2>/dev/null; echo "ls of nothing $?"
id -u; id -un; groups | head -c 4; echo
sudo -n true 2>/dev/null; echo "sudo $?"
find /usr/share/doc -maxdepth 1 2>/dev/null | sort | head -n 3
seq 1 20000 | awk '{ sum[$1 % 7] += $1 } END { for (i = 0; i < 7; i++) print i, sum[i] }'
seq 1 20000 | sed 's/1/one/g' | grep -c one
seq 20000 -1 1 | sort -n | uniq | md5sum
head -c 300000 /dev/zero | gzip -9 | gzip -dc | wc -c
tar -C /usr/include -cf - stdio.h stdlib.h string.h | tar -tf -
printf 'a,b\nc,d\n' | cut -d, -f2 | tr a-z A-Z | paste -sd+
date -u -d @0 +%F
env -i /bin/echo clean
expr 6 '*' 7
dd if=/dev/zero bs=4096 count=10 2>/dev/null | cksum
diff <(seq 1 5) <(seq 2 6); echo "diff $?"
false; echo "false $?"
