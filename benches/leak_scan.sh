#!/bin/sh
# Runs benches/leak_scan.c under heapwarden and under LeakSanitizer.
#   sh benches/leak_scan.sh [MIB…]        default: 256 1024
set -e
here=$(cd "$(dirname "$0")" && pwd)
out=${CARGO_TARGET_DIR:-$here/../target}
gcc -O2 -pthread "$here/leak_scan.c" -o "$out/leak_scan" "$out/release/libheapwarden.a" -lpthread -ldl -lm
gcc -O2 -pthread -DUSE_LSAN -fsanitize=leak "$here/leak_scan.c" -o "$out/leak_scan_lsan"
[ $# -gt 0 ] || set -- 256 1024
for mib; do
    for block in 300 64; do
        for threads in 1 8; do
            printf 'heapwarden  '
            HEAPWARDEN_OPTIONS=format=json:log_path="$out/leak_scan.json" "$out/leak_scan" "$mib" "$block" "$threads"
            grep -h '"summary"' "$out"/leak_scan.json.* | sed 's/.*"cost":{\([^}]*\)}.*/              \1/'
            rm -f "$out"/leak_scan.json.*
        done
        printf 'lsan        '
        LSAN_OPTIONS=detect_leaks=1 "$out/leak_scan_lsan" "$mib" "$block" 1 2>/dev/null
    done
done
