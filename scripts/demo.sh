#!/bin/sh
# Builds the examples and shows what heapwarden says of each.
# Usage: demo.sh DIRECTORY (with libheapwarden.so and the heapwarden tool)
set -eu
out=$(cd "$1" && pwd)
root=$(cd "$(dirname "$0")/.." && pwd)
built=$out/examples
mkdir -p "$built"

show() { # example, options, expected exit code
    source=examples/$1.c
    # gcc removes malloc calls whose result it thinks unused: keep them.
    cc -g -O1 -fno-inline -fno-builtin-malloc -fno-builtin-free -w -o "$built/$1" "$root/$source"
    printf '\n======== %s: %s\n' "$source" "$(sed -n '1s|^/\* *||;1s| *\*/$||;1s|[:,(]* *$||;1p' "$root/$source")"
    printf '$ %sheapwarden run -- %s\n' "${2:+HEAPWARDEN_OPTIONS=$2 }" "./$1"
    code=0
    (cd "$root" && HEAPWARDEN_OPTIONS=$2 "$out/heapwarden" run -- "$built/$1" 2>&1) || code=$?
    printf '(exit code %s)\n' "$code"
    if [ "$code" != "$3" ]; then
        echo "demo: $1 should have ended with $3" >&2
        exit 1
    fi
}

show 1_lost_address "" 23
show 2_stepped_pointer "halt_on_error=0" 23
show 3_members_lost "" 23
show 4_growing_list "hidden_leaks=1" 0
show 5_dangling_pointer "halt_on_error=0" 23
show 6_endless_loop "heap_limit_mb=64" 0
printf '\nAll six examples were reported as expected.\n'
