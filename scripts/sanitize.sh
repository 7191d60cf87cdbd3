#!/bin/sh
# The library's own tests under the sanitizers: sanitize.sh [address|thread...].
# Their run-time libraries come with the stable tool chain; RUSTC_BOOTSTRAP
# admits the flags.
#
# The heap's window is moved to where the sanitizer's shadow is not (the cfg
# `heapwarden_sanitized`, src/memory/window.rs).
set -eu
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- address thread
target=${CARGO_TARGET_DIR:-$PWD/target}
triple=x86_64-unknown-linux-gnu
export RUSTC_BOOTSTRAP=1
for sanitizer in "$@"; do
    echo "sanitize: $sanitizer"
    export RUSTFLAGS="-Zsanitizer=$sanitizer --cfg heapwarden_sanitized=\"$sanitizer\""
    tests() { # tests CARGO_ARGUMENT...
        cargo test --quiet --target $triple --target-dir "$target/sanitize/$sanitizer" --no-fail-fast "$@"
    }
    case $sanitizer in
    address)
        # Leaks are ours to find: LeakSanitizer does not know the heap's window.
        # Locals must lie on the stack: tests ask where it is.
        export ASAN_OPTIONS=detect_leaks=0:detect_stack_use_after_return=0
        # heap::failure_tests counts system calls, of which the sanitizer makes its own.
        tests --features arena-global --lib --test arena_model --test fuzz_corpus -- \
            --skip heap::failure_tests
        tests --features arena-global --test model -- hosted
        ;;
    thread)
        # It must see the standard library too, which is built with it.
        rustup --quiet component add rust-src
        std=$(rustc --print sysroot)/lib/rustlib/src/rust/library/std
        [ -d "$std" ] || { echo "sanitize: thread: no $std (rustup component add rust-src)" && exit 1; }
        # One standard library: the profile's panic=abort would ask for a second.
        export CARGO_PROFILE_DEV_PANIC=unwind
        export TSAN_OPTIONS="suppressions=$PWD/scripts/thread-sanitizer.txt history_size=4"
        # symbol: reading DWARF takes longer than naming may (symbolize_timeout_s).
        tests -Zbuild-std --lib -- --skip heap::failure_tests --skip symbol::tests
        # A third of the programs: twenty times slower than without.
        HEAPWARDEN_PROOF_SCALE=${HEAPWARDEN_PROOF_SCALE:-0.3} tests -Zbuild-std --test model -- hosted
        ;;
    *)
        echo "sanitize.sh: address or thread, not $sanitizer" >&2
        exit 2
        ;;
    esac
done
