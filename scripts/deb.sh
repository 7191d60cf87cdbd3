#!/bin/sh
# Builds a Debian package of what `make` built: library, header, command, man
# pages, completions. Usage: deb.sh BUILT VERSION OUTPUT-DIRECTORY
set -eu
built=$1 version=$2 output=$3
root=$(cd "$(dirname "$0")/.." && pwd)
architecture=$(dpkg --print-architecture)
triplet=$(dpkg-architecture -qDEB_HOST_MULTIARCH 2>/dev/null || echo x86_64-linux-gnu)
mkdir -p "$output"
stage=$(mktemp -d "$output/deb.XXXXXX")
trap 'rm -rf "$stage"' EXIT

sh "$root/scripts/install.sh" "$built" "$stage" /usr "/usr/lib/$triplet" "$version"
strip --strip-unneeded "$stage/usr/bin/heapwarden"
find "$stage/usr/share/man" -name '*.1' -exec gzip -9n {} + 2>/dev/null || true
documents=$stage/usr/share/doc/heapwarden
install -d "$documents" "$stage/DEBIAN"
install -m 644 "$root/README.md" "$documents/"
cp -r "$root/docs" "$documents/docs"
{
    echo 'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/'
    echo
    echo 'Files: *'
    echo 'Copyright: the heapwarden authors'
    echo 'License: MIT or Apache-2.0'
    sed 's/^$/./; s/^/ /' "$root/LICENSE-MIT"
} >"$documents/copyright"

# What the binaries were linked against says which libc they need.
libc=$(objdump -T "$stage/usr/bin/heapwarden" "$stage/usr/lib/$triplet/libheapwarden.so.$version" |
    sed -n 's/.*GLIBC_\([0-9.]*\)).*/\1/p' | sort -V | tail -1)
cat >"$stage/DEBIAN/control" <<EOF
Package: heapwarden
Version: $version
Section: devel
Priority: optional
Architecture: $architecture
Multi-Arch: no
Maintainer: The heapwarden authors <heapwarden@users.noreply.github.com>
Depends: libc6 (>= ${libc:-2.31}), libgcc-s1
Suggests: gdb, libc6-dbg
Installed-Size: $(du -sk "$stage/usr" | cut -f1)
Description: malloc in which every block has an owner
 Preloaded into a C or C++ program, or linked into it, heapwarden names
 leaks, misuse of the heap and who holds the memory when it runs out,
 each with call stacks by file and line.
EOF
printf 'activate-noawait ldconfig\n' >"$stage/DEBIAN/triggers"
(cd "$stage" && find usr -type f -exec md5sum {} + | sort -k2 >DEBIAN/md5sums)
chmod -R u=rwX,go=rX "$stage"
package=$output/heapwarden_${version}_$architecture.deb
dpkg-deb --root-owner-group --build "$stage" "$package" >/dev/null
echo "$package"
