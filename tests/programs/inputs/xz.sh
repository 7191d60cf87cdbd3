set -eu
seq 1 600000 >numbers
xz -T2 --block-size=1MiB -3 -k numbers
xz -l numbers.xz | tail -n 1
cksum numbers.xz
xz -T2 -dc numbers.xz | cmp - numbers
head -c 1000 numbers.xz >cut.xz
xz -t cut.xz 2>&1 || echo "code $?"
