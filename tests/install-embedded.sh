#!/bin/sh
# Installs what the firmware tests need, on Debian: a rustc with the library
# source that it can build for bare metal, cross compilers, QEMU; and for
# scripts/word32.sh a 32-bit C library. Does nothing if all is there. Exits 0
# either way: tests/embedded.rs and that script say what they skipped.
set -u
missing=
have() { command -v "$1" >/dev/null 2>&1; }
have arm-none-eabi-gcc || missing="$missing gcc-arm-none-eabi"
have qemu-system-arm || missing="$missing qemu-system-arm"
have riscv64-unknown-elf-gcc || missing="$missing gcc-riscv64-unknown-elf"
have qemu-system-riscv32 || missing="$missing qemu-system-misc"
[ -e /usr/bin/rustc ] && [ -e /usr/lib/rustlib/src/rust/library/core ] ||
    missing="$missing rustc-web rust-web-src"
case $(uname -m)$(cc -m32 -print-file-name=crt1.o 2>/dev/null) in
x86_64crt1.o) missing="$missing gcc-multilib" ;; # no path: gcc found none
esac
[ -n "$missing" ] || exit 0
if ! have apt-get || [ "$(id -u)" != 0 ]; then
    echo "install-embedded.sh: not installed (needs apt-get and root):$missing" >&2
    exit 0
fi
echo "install-embedded.sh: installing$missing"
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 # a list of packages
apt-get update -q >/dev/null && apt-get install -q -y --no-install-recommends $missing >/dev/null ||
    echo "install-embedded.sh: apt-get failed; the firmware tests will be skipped" >&2
exit 0
