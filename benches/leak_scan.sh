#!/bin/sh
# Runs benches/leak_scan.c under heapwarden and under LeakSanitizer.
#   sh benches/leak_scan.sh [MIB…]        default: 256 1024; 4096 needs 14 GiB
# "pause" is how long threads were held, "gap" the longest time for which a
# counting thread did not run, whoever kept it from running.
set -e
here=$(cd "$(dirname "$0")" && pwd)
out=${CARGO_TARGET_DIR:-$here/../target}
gcc -O2 -pthread "$here/leak_scan.c" -o "$out/leak_scan" "$out/release/libheapwarden.a" -lpthread -ldl -lm
gcc -O2 -pthread -DUSE_LSAN -fsanitize=leak "$here/leak_scan.c" -o "$out/leak_scan_lsan"
# Marking alone: the library as a crate, without what tests need besides.
(cd "$here/.." && cargo build --quiet --release --lib)
rustc --edition 2024 -O -C lto=fat -C panic=abort "$here/../examples/leak_marking.rs" -o "$out/leak_marking" \
    -L dependency="$out/release/deps" --extern heapwarden="$out/release/libheapwarden.rlib" \
    --extern libc="$(ls -t "$out"/release/deps/liblibc-*.rlib | head -1)"
[ $# -gt 0 ] || set -- 256 1024
for mib; do
    for block in 300 64; do
        printf 'marking     '
        "$out/leak_marking" "$mib" "$block"
        for threads in 1 8; do
            printf 'heapwarden  '
            HEAPWARDEN_OPTIONS=format=json:log_path="$out/leak_scan.json" "$out/leak_scan" "$mib" "$block" "$threads"
            grep -ho '"message":"[^"]*"' "$out"/leak_scan.json.* || true
            grep -h '"summary"' "$out"/leak_scan.json.* | sed 's/.*"cost":{\([^}]*\)}.*/              \1/'
            rm -f "$out"/leak_scan.json.*
        done
        for threads in 1 8; do
            printf 'lsan        '
            LSAN_OPTIONS=detect_leaks=1 "$out/leak_scan_lsan" "$mib" "$block" "$threads" 2>/dev/null
        done
    done
done
