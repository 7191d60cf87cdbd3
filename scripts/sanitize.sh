#!/bin/sh
# The library's own tests under AddressSanitizer, whose run-time library comes
# with the stable tool chain; RUSTC_BOOTSTRAP admits the flag.
#
# The heap's window is moved to where the sanitizer's shadow is not (the cfg
# `heapwarden_sanitized`, src/memory/window.rs).
set -eu
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-$PWD/target}
triple=x86_64-unknown-linux-gnu
export RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address --cfg heapwarden_sanitized"
# Leaks are ours to find: LeakSanitizer does not know the heap's window. Locals
# must lie on the stack: tests ask where it is.
export ASAN_OPTIONS=detect_leaks=0:detect_stack_use_after_return=0
set -- --quiet --target $triple --target-dir "$target/sanitize" --no-fail-fast --features arena-global
# heap::failure_tests counts system calls, of which the sanitizer makes its own.
cargo test "$@" --lib --test arena_model --test fuzz_corpus -- --skip heap::failure_tests
cargo test "$@" --test model -- hosted
