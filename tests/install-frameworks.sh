#!/bin/sh
# Installs the test frameworks that heapwarden's examples plug into, and what packages are used with. Where they
# cannot be had, those tests say that they are skipped.
set -u
missing=
command -v pkg-config >/dev/null || missing="$missing pkgconf"
[ -f /usr/include/gtest/gtest.h ] || missing="$missing libgtest-dev"
[ -d /usr/include/catch2 ] || missing="$missing catch2"
command -v ctest >/dev/null || missing="$missing cmake"
[ -z "$missing" ] && exit 0
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    -o DPkg::Lock::Timeout=300 $missing >/dev/null 2>&1 ||
    echo "install-frameworks.sh: could not install$missing; their tests are skipped" >&2
exit 0
