#!/bin/sh
# Measures heapwarden's arena beside other heaps for devices, on Cortex-M4 under
# QEMU, and prints the table of docs/embedded.md. Needs what
# tests/install-embedded.sh installs, the crates of embedded/peers, and, for
# newlib's rows and those of the heaps in C, libnewlib-arm-none-eabi.
#
#   PEER_SOURCES=DIRECTORY embedded/peers.sh
#
# DIRECTORY holds what no registry has, as far as it is there: the repositories
# tlsf (github.com/mattconte/tlsf), umm_malloc (rhempel/umm_malloc) and
# FreeRTOS-Kernel (FreeRTOS/FreeRTOS-Kernel), each under its own name.
set -eu
cd "$(dirname "$0")/.."
target=thumbv7em-none-eabihf
output=${CARGO_TARGET_DIR:-target}/embedded-peers
mkdir -p "$output"

text() { arm-none-eabi-size "$1" | awk 'NR == 2 { print $1 }'; }

# row NAME UART TEXT
row() {
    printf '%s\n' "$2" | awk -v name="$1" -v text="$3" '
        { value[$1] = $2 }
        END {
            printf "| %s | %d | %d/%d | %d/%d | %d / %d | %.1f | %.1f | %.1f | %.1f |\n", name, text,
                value["malloc-mean"], value["malloc-max"], value["free-mean"], value["free-max"],
                value["holes-malloc"], value["holes-free"],
                value["per-block-16"] / 10, value["per-block-100"] / 10,
                value["efficiency-small"] / 10, value["efficiency-mixed"] / 10
        }'
}

echo '| heap | text | malloc mean/max | free mean/max | holes: malloc / free | B/16 | B/100 | eff. 1-64 B | eff. mixed |'
echo '|---|---|---|---|---|---|---|---|---|'
for mode in bare owner guard owner-guard; do
    library=$(embedded/build.sh $target $mode)
    for part in 0 1; do
        embedded/link.sh cortex-m4 "$library" "$output/size-$part.elf" embedded/firmware/size.c -DPART=$part
    done
    size=$(($(text "$output/size-1.elf") - $(text "$output/size-0.elf")))
    embedded/link.sh cortex-m4 "$library" "$output/measure.elf" embedded/firmware/measure.c
    row "**heapwarden $mode**" "$(embedded/run.sh cortex-m4 "$output/measure.elf")" "$size"
done

for peer in talc rlsf linked-list buddy; do
    if ! RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 cargo build --quiet --release --features $peer \
        --manifest-path embedded/peers/Cargo.toml --target $target --target-dir "$output" \
        -Zbuild-std=core,alloc; then
        echo "embedded/peers.sh: $peer could not be built" >&2
        continue
    fi
    library=$output/$target/release/libpeer.a
    for part in 0 1; do
        embedded/link.sh cortex-m4 "$library" "$output/size-$part.elf" embedded/peers/peer.c -DPART=$part
    done
    size=$(($(text "$output/size-1.elf") - $(text "$output/size-0.elf")))
    embedded/link.sh cortex-m4 "$library" "$output/peer.elf" embedded/peers/peer.c -Iembedded/firmware
    row "$peer" "$(embedded/run.sh cortex-m4 "$output/peer.elf")" "$size"
done

# With newlib's headers and library, which has its own memcpy and the like: the
# board's come before it.
with_newlib() {
    library=$1
    shift
    arm-none-eabi-gcc -mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16 -std=gnu11 -Os -g -DNDEBUG -w \
        -nostartfiles -ffunction-sections -fdata-sections -Iembedded/board -Iembedded/firmware \
        -Iembedded/peers/include -T embedded/board/mps2.ld embedded/board/mps2.c embedded/board/common.c \
        embedded/peers/peer.c "$@" -nodefaultlibs -Wl,--start-group -l$library -lgcc \
        -Wl,--end-group -Wl,--gc-sections -Wl,-z,noexecstack
}

# c_row NAME LIBRARY OPTIONS…
c_row() {
    name=$1
    shift
    for part in 0 1; do with_newlib "$@" -DPART=$part -o "$output/size-$part.elf"; done
    size=$(($(text "$output/size-1.elf") - $(text "$output/size-0.elf")))
    with_newlib "$@" -o "$output/peer.elf"
    row "$name" "$(embedded/run.sh cortex-m4 "$output/peer.elf")" "$size"
}

if ! arm-none-eabi-gcc -print-file-name=libc.a | grep -q /; then
    echo "embedded/peers.sh: newlib is not installed (libnewlib-arm-none-eabi)" >&2
    exit 0
fi
c_row 'newlib malloc' c -DPEER_LIBC
c_row 'newlib-nano malloc' c_nano -DPEER_LIBC

# source NAME FILE: its path, or a line that says that it is not there.
source() {
    file=${PEER_SOURCES:-/nonexistent}/$2
    [ -e "$file" ] && return
    echo "embedded/peers.sh: no $1: $2 is not in PEER_SOURCES" >&2
    return 1
}
if source TLSF tlsf/tlsf.c; then
    c_row 'TLSF (mattconte)' c_nano -DPEER_TLSF "-DPEER_SOURCE=\"$file\"" "-I${file%/*}"
fi
if source umm_malloc umm_malloc/src/umm_malloc.c; then
    c_row 'umm_malloc, best fit' c_nano -DPEER_UMM "-DPEER_SOURCE=\"$file\"" "-I${file%/*}"
fi
if source heap_4 FreeRTOS-Kernel/portable/MemMang/heap_4.c; then
    c_row 'FreeRTOS heap_4' c_nano -DPEER_FREERTOS "-DPEER_SOURCE=\"$file\""
fi
