#!/bin/sh
# Builds the arena as a static library for one bare-metal target.
#
#   embedded/build.sh TARGET [MODE]     MODE: bare, owner, guard, owner-guard (default)
#
# Prints the path of the library. Needs a rustc that matches an installed
# library source: Debian's rustc-web and rust-web-src (tests/install-embedded.sh),
# or rustup's with the target added. Everything goes to target/embedded.
set -eu
cd "$(dirname "$0")/.."
target=$1
mode=${2:-owner-guard}
case $mode in
bare) features=arena-c ;;
owner) features=arena-c,arena-owner ;;
guard) features=arena-c,arena-guard ;;
owner-guard) features=arena-c,arena-owner,arena-guard ;;
*) echo "embedded/build.sh: no mode '$mode': bare, owner, guard, owner-guard" >&2; exit 2 ;;
esac

output=${CARGO_TARGET_DIR:-target}/embedded
# A directory for each target: builds of two do not wait for each other.
build=$output/build/$target
# The modes of one target share it, so one build at a time, whoever asks.
mkdir -p "$build"
exec 9>"$build/.lock"
flock 9 2>/dev/null || true
# Functions that the compiler would make of pieces of ours cost more instructions
# than they save bytes.
small=-Cllvm-args=-enable-machine-outliner=never
set -- rustc --quiet --lib --crate-type staticlib --profile embedded \
    --no-default-features --features "$features" --target-dir "$build"
if [ "$target" = x86_64-unknown-linux-gnu ]; then
    cargo "$@" --target "$target" -- $small >&2 # this machine's own core will do
elif [ -e /usr/bin/rustc ] && [ -e /usr/lib/rustlib/src/rust/library/core ]; then
    # Debian's compiler builds Debian's core: only these two match each other.
    export RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1
    # Rust's bare-metal Arm targets keep a frame pointer in every function, which
    # costs 6 % of the text; nobody unwinds here.
    specification=$build/$target.json
    $RUSTC --print target-spec-json -Zunstable-options --target "$target" |
        sed 's/"frame-pointer": "always"/"frame-pointer": "may-omit"/' >"$specification.$$"
    cmp -s "$specification.$$" "$specification" || cp "$specification.$$" "$specification"
    rm "$specification.$$"
    cargo "$@" --target "$specification" -Zbuild-std=core -Zjson-target-spec -- $small >&2
else
    cargo "$@" --target "$target" -- $small >&2
fi
mkdir -p "$output/$target/$mode"
library=$output/$target/$mode/libheapwarden.a
# Put in place whole: another link may be reading the library that stands there.
put() {
    cp "$build/$target/embedded/libheapwarden.a" "$1.$$"
    mv "$1.$$" "$1"
}
put "$library"
[ "$mode" != owner-guard ] || put "$output/$target/libheapwarden.a"
echo "$library"
