#!/bin/sh
# Makes the raw static library fit for any program: one object in which only
# the names of the shared library are global, so that it can stand beside
# another Rust static library; C++ operators are weak, so that a program's own
# win. Usage: archive.sh DIRECTORY (with libheapwarden.so and libheapwarden.a)
set -eu
cd "$1"
raw=libheapwarden.a
archive() {
    rm -f "$raw"
    ar rcs "$raw" heapwarden.o
}
if [ -f heapwarden.o ] && [ heapwarden.o -nt libheapwarden.so ]; then
    # Cargo puts its own archive in place again even where nothing was built.
    [ "$(ar t "$raw")" = heapwarden.o ] || archive
    exit 0
fi
nm -D --defined-only --format=posix libheapwarden.so | cut -d' ' -f1 | sed 's/@.*//' >heapwarden.exports
grep '^_Z' heapwarden.exports >heapwarden.weak
cp "$raw" heapwarden.raw.a
# Section groups are dissolved: a linker that keeps our copy of a group would
# throw away that of another Rust library, whose name for it is then missing.
ld -r --force-group-allocation --whole-archive heapwarden.raw.a -o heapwarden.o
objcopy --strip-debug --remove-section .llvmbc --remove-section .llvmcmd heapwarden.o
objcopy --keep-global-symbols=heapwarden.exports --weaken-symbols=heapwarden.weak heapwarden.o
archive
rm -f heapwarden.raw.a
touch heapwarden.o
