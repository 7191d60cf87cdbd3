#!/bin/sh
# Installs the programs that tests/programs.rs and `make bench-programs` run
# under heapwarden. Says nothing when all of them are there already.
#
# Only what is missing is installed, so a machine's own node or java stays as
# it is. Services that come with a package (redis, nginx) are not started.
set -eu

# program, or a file that must exist | Debian package
wanted='
/usr/bin/python3|python3
perl|perl
git|git
bash|bash
g++|g++
sqlite3|sqlite3
lua5.4|lua5.4
node|nodejs
javac|default-jdk-headless
gdb|gdb
redis-server|redis-server
redis-benchmark|redis-tools
nginx|nginx-light
ab|apache2-utils
curl|curl
z3|z3
gs|ghostscript
xz|xz-utils
jq|jq
xmllint|libxml2-utils
sudo|sudo
'

missing=
for line in $wanted; do
    program=${line%%|*}
    PATH="$PATH:/usr/sbin:/sbin" command -v "$program" >/dev/null 2>&1 || missing="$missing ${line##*|}"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ]; then
    echo "install-programs.sh: run as root, or install by hand:$missing" >&2
    exit 1
fi

# 101 = "no, and no error": dpkg's own way to keep services from starting.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
fi
log=$(mktemp)
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086
if ! { apt-get update && apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=300 $missing; } >"$log" 2>&1; then
    echo "install-programs.sh: apt-get could not install$missing:" >&2
    tail -n 20 "$log" >&2
    rm -f "$log"
    exit 1
fi
rm -f "$log"
