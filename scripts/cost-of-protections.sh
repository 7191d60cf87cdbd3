#!/bin/bash
# Instructions that one malloc and its free cost with each protection on or
# off, as callgrind counts them, as a Markdown table. Exact, but blind to
# caches; `make bench` measures time.
#
#   scripts/cost-of-protections.sh
set -eu
cd "$(dirname "$0")/.."
library=${HEAPWARDEN_LIB_DIR:-${CARGO_TARGET_DIR:-target}/release}/libheapwarden.so
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cat >"$work/pairs.c" <<'C'
/* Frees and allocates blocks of one size in a table, at places in no order. */
#include <stdlib.h>
int main(int argc, char **argv) {
    static char *table[512];
    size_t size = strtoul(argv[1], 0, 0);
    unsigned random = 1;
    for (long left = atol(argv[2]); left > 0; left--) {
        random = random * 1664525u + 1013904223u;
        char **place = &table[random >> 23];
        free(*place);
        *place = malloc(size);
        **place = 1;
    }
    return argc < 0;
}
C
gcc -O1 -w "$work/pairs.c" -o "$work/pairs"
count() { # options size pairs
    env ${1:+HEAPWARDEN_OPTIONS="detect_leaks=0:$1" LD_PRELOAD="$library"} \
        valgrind --tool=callgrind --callgrind-out-file=/dev/null "$work/pairs" "$2" "$3" 2>&1 |
        sed -n 's/.*Collected : \([0-9]*\).*/\1/p'
}
sizes="40 1000 100000"
pairs=8000
printf '| protection |'; for size in $sizes; do printf ' %s bytes |' "$size"; done; echo
printf '|---|'; for size in $sizes; do printf -- '--:|'; done; echo
row() { # title options
    printf '| %s |' "$1"
    for size in $sizes; do
        once=$(count "$2" "$size" $pairs); twice=$(count "$2" "$size" $((2 * pairs)))
        printf ' %d |' $(((twice - once) / pairs))
    done
    echo
}
row 'glibc, without us' ''
row 'all that is on by default' 'poison=tiered'
row 'call stacks: the caller only (`stack_depth=0`)' 'stack_depth=0'
row 'no quarantine (`quarantine_mb=0`)' 'quarantine_mb=0'
row 'no poison (`poison=none`)' 'poison=none'
row 'every byte poisoned (`poison=full`)' 'poison=full'
row 'fresh memory filled (`fill_on_alloc=1`)' 'fill_on_alloc=1'
row 'a slice checked every 1000 operations (`check_every=1000`)' 'check_every=1000'
row 'guard pages for one in 1000 (`guard_sample=1000`)' 'guard_sample=1000'
row 'guard pages for all (`guard_sample=1`)' 'guard_sample=1'
