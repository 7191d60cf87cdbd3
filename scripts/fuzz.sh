#!/bin/sh
# Fuzzes each target for some seconds: fuzz.sh SECONDS [TARGET...]. What is new
# goes to target/fuzz/corpus, never into the tree; a crash ends it with its file.
#
# FUZZ_MINIMISE=1 brings the least inputs that reach all the same into the tree.
#
# Coverage comes from LLVM's own pass, which the stable tool chain has; the
# address sanitizer is added where a target uses ordinary memory only (the heap's
# window lies where the sanitizer keeps its shadow).
set -eu
cd "$(dirname "$0")/.."
seconds=${1:?seconds for each target}
shift
[ $# -gt 0 ] || set -- operations arena options suppressions cfi symbols report
target=${CARGO_TARGET_DIR:-$PWD/target}
coverage="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
-Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares \
-Ccodegen-units=1"
triple=x86_64-unknown-linux-gnu
build() { # build TARGET FLAGS FOLDER
    RUSTC_BOOTSTRAP=1 RUSTFLAGS="$coverage $2" CARGO_TARGET_DIR="$3" \
        cargo build --quiet --release --manifest-path fuzz/Cargo.toml --target $triple --bin "$1"
}
for name in "$@"; do
    flags='-Zsanitizer=address' folder=$target/fuzz/address length=8192
    case $name in
    operations) flags='' folder=$target/fuzz/plain length=1200 ;;
    arena) length=1201 ;; # 150 steps, and the byte that chooses the mode
    esac
    build "$name" "$flags" "$folder"
    fuzzer=$folder/$triple/release/$name
    corpus=$target/fuzz/corpus/$name crashes=$target/fuzz/crashes/$name
    mkdir -p "$corpus" "$crashes" "fuzz/corpus/$name"
    export ASAN_OPTIONS=detect_leaks=0
    if [ "${FUZZ_MINIMISE:-0}" = 1 ]; then
        least=$target/fuzz/least/$name
        rm -rf "$least" && mkdir -p "$least"
        "$fuzzer" -set_cover_merge=1 -use_counters=0 -max_len=$length "$least" "fuzz/corpus/$name" "$corpus" 2>&1 |
            grep -a 'MERGE-OUTER.*new files with' || true
        # The tree holds fewer than 200 a target: those that reach deepest are long.
        ls -S "$least" | head -185 | while read -r file; do
            cp "$least/$file" "fuzz/corpus/$name/"
        done
        continue
    fi
    echo "fuzz: $name for $seconds s"
    log=$target/fuzz/$name.log
    "$fuzzer" -max_total_time="$seconds" -timeout=60 -rss_limit_mb=3000 -max_len=$length \
        -print_final_stats=1 -artifact_prefix="$crashes/" "$corpus" "fuzz/corpus/$name" \
        >"$log" 2>&1 || true
    grep -aE 'DONE|INFO: Loaded 1 modules|stat::(number_of_ex|new_units)|ERROR|panicked|SUMMARY|Test unit' \
        "$log" || true
    for crash in "$crashes"/*; do
        if [ -e "$crash" ]; then
            echo "fuzz: $name: see $crash and $log"
            exit 1
        fi
    done
done
exit 0
