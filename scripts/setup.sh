#!/bin/sh
# Installs what the tests need: compilers and the programs that are run under
# heapwarden. Does nothing, quickly, where all of it is there.
set -eu
cd "$(dirname "$0")/.."
missing=
for tool in cc:gcc c++:g++ make:make nm:binutils gdb:gdb strace:strace valgrind:valgrind python3:python3; do
    command -v "${tool%%:*}" >/dev/null || missing="$missing ${tool##*:}"
done
if [ -n "$missing" ]; then
    apt-get update -qq
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi
for script in tests/install-*.sh; do
    [ -f "$script" ] && sh "$script"
done
exit 0
