#!/bin/sh
# Fuzzes each target for some seconds: fuzz.sh SECONDS [TARGET...]. What is new
# goes to target/fuzz/corpus, never into the tree; a crash ends it with its file.
#
# Coverage comes from LLVM's own pass, which the stable tool chain has; the
# address sanitizer is added: these targets use ordinary memory only (the heap's
# window lies where the sanitizer keeps its shadow).
set -eu
cd "$(dirname "$0")/.."
seconds=${1:?seconds for each target}
shift
[ $# -gt 0 ] || set -- options suppressions cfi symbols report
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
    flags='-Zsanitizer=address' folder=$target/fuzz/address
    build "$name" "$flags" "$folder"
    corpus=$target/fuzz/corpus/$name
    mkdir -p "$corpus" "fuzz/corpus/$name"
    echo "fuzz: $name for $seconds s"
    ASAN_OPTIONS=detect_leaks=0 "$folder/$triple/release/$name" -max_total_time="$seconds" \
        -timeout=20 -rss_limit_mb=3000 -max_len=8192 -print_final_stats=1 -verbosity=0 \
        -artifact_prefix="$target/fuzz/" "$corpus" "fuzz/corpus/$name" 2>&1 |
        grep -aE 'stat::number_of_executed|stat::new_units|ERROR|panicked|SUMMARY|Test unit' || true
    for crash in "$target"/fuzz/crash-* "$target"/fuzz/timeout-* "$target"/fuzz/oom-*; do
        [ -e "$crash" ] && echo "fuzz: $name: see $crash" && exit 1
    done
done
exit 0
