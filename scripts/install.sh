#!/bin/sh
# Installs what `make` built. Usage:
# install.sh BUILT DESTDIR PREFIX LIBDIR VERSION
set -eu
built=$1 to=$2 prefix=$3 libdir=$4 version=$5
root=$(cd "$(dirname "$0")/.." && pwd)
install -d "$to$libdir/pkgconfig" "$to$libdir/cmake/heapwarden" "$to$prefix/include" "$to$prefix/bin"
install -m 755 "$built/libheapwarden.so" "$to$libdir/libheapwarden.so.$version"
ln -sf "libheapwarden.so.$version" "$to$libdir/libheapwarden.so.1"
ln -sf libheapwarden.so.1 "$to$libdir/libheapwarden.so"
install -m 644 "$built/libheapwarden.a" "$to$libdir/libheapwarden.a"
install -m 644 "$root"/include/*.h "$to$prefix/include/"
install -m 755 "$built/heapwarden" "$to$prefix/bin/heapwarden"
# gdb commands; loaded by themselves where gdb looks below this prefix.
loads=$to$prefix/share/gdb/auto-load$libdir
install -d "$to$prefix/share/heapwarden" "$loads"
install -m 644 "$root/tool/gdb/heapwarden.py" "$to$prefix/share/heapwarden/heapwarden.py"
echo "gdb.execute('source $prefix/share/heapwarden/heapwarden.py')" >"$loads/libheapwarden.so.$version-gdb.py"
cat >"$to$libdir/pkgconfig/heapwarden.pc" <<EOF
prefix=$prefix
libdir=$libdir
includedir=$prefix/include

Name: heapwarden
Description: A malloc in which every block has an owner
Version: $version
Libs: -L\${libdir} -lheapwarden
Libs.private: -lpthread -ldl -lm
Cflags: -I\${includedir}
EOF
cat >"$to$libdir/cmake/heapwarden/heapwarden-config-version.cmake" <<EOF
set(PACKAGE_VERSION "$version")
if(PACKAGE_FIND_VERSION VERSION_GREATER PACKAGE_VERSION)
  set(PACKAGE_VERSION_COMPATIBLE FALSE)
else()
  set(PACKAGE_VERSION_COMPATIBLE TRUE)
endif()
EOF
cat >"$to$libdir/cmake/heapwarden/heapwarden-config.cmake" <<EOF
if(NOT TARGET heapwarden::heapwarden)
  add_library(heapwarden::heapwarden SHARED IMPORTED)
  set_target_properties(heapwarden::heapwarden PROPERTIES
    IMPORTED_LOCATION "$libdir/libheapwarden.so"
    IMPORTED_SONAME "libheapwarden.so.1"
    INTERFACE_INCLUDE_DIRECTORIES "$prefix/include")
  add_library(heapwarden::static STATIC IMPORTED)
  set_target_properties(heapwarden::static PROPERTIES
    IMPORTED_LOCATION "$libdir/libheapwarden.a"
    INTERFACE_INCLUDE_DIRECTORIES "$prefix/include"
    INTERFACE_LINK_LIBRARIES "pthread;dl;m")
endif()
EOF
# Man pages and shell completions come from the command itself.
generated=$(mktemp -d)
trap 'rm -rf "$generated"' EXIT
"$built/heapwarden" generate "$generated"
place() { # FILE DIRECTORY NAME
    install -d "$to$prefix/share/$2"
    install -m 644 "$generated/$1" "$to$prefix/share/$2/$3"
}
for page in "$generated"/man/*.1; do
    place "man/${page##*/}" man/man1 "${page##*/}"
done
place completions/heapwarden.bash bash-completion/completions heapwarden
place completions/_heapwarden zsh/site-functions _heapwarden
place completions/heapwarden.fish fish/vendor_completions.d heapwarden.fish
