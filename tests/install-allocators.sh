#!/bin/sh
# Installs the other allocators that the harness is tried on (docs/proof.md).
# Where they cannot be had, their tests say so and are left out.
set -eu
wanted=
for pair in libjemalloc.so.2:libjemalloc2 libmimalloc.so.2:libmimalloc2.0; do
    set -- /usr/lib/*/"${pair%%:*}"
    [ -e "$1" ] || wanted="$wanted ${pair##*:}"
done
[ -z "$wanted" ] && exit 0
apt-get update -qq
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $wanted >/dev/null
