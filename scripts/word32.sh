#!/bin/sh
# The arena's model, the fuzzer's corpus and its own tests with words of 32 bits,
# on this machine (embedded/word32). Says so where that is not to be had.
set -eu
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-$PWD/target}
triple=i686-unknown-linux-gnu
skip() {
    echo "32-bit words: SKIPPED: $1"
    exit 0
}
# tests/install-embedded.sh brings the C library; gcc prints a path if it is there.
case $(cc -m32 -print-file-name=crt1.o 2>/dev/null) in
*/crt1.o) ;;
*) skip "cc -m32 has no C library (gcc-multilib)" ;;
esac
[ -d "$(rustc --print sysroot)/lib/rustlib/$triple" ] ||
    timeout 120 rustup --quiet target add $triple >/dev/null 2>&1 ||
    skip "rustc has no $triple (rustup target add $triple)"
cd embedded/word32
cargo test --quiet --locked --target $triple --target-dir "$target/word32" --tests
