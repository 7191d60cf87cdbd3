#!/bin/sh
# Measures heapwarden's arena beside other heaps for devices, on Cortex-M4 under
# QEMU, and prints the table of docs/embedded.md. Needs what
# tests/install-embedded.sh installs, the crates of embedded/peers, and, for
# newlib's rows, libnewlib-arm-none-eabi.
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

# newlib has its own memcpy and the like, so the board's come after it.
for libc in c c_nano; do
    if ! arm-none-eabi-gcc -print-file-name=lib$libc.a | grep -q /; then
        echo "embedded/peers.sh: lib$libc.a is not installed (libnewlib-arm-none-eabi)" >&2
        continue
    fi
    newlib() {
        arm-none-eabi-gcc -mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16 -std=gnu11 -Os -g \
            -nostartfiles -ffunction-sections -fdata-sections -Iembedded/board -Iembedded/firmware \
            -T embedded/board/mps2.ld embedded/board/mps2.c embedded/board/common.c \
            embedded/peers/peer.c -DPEER_LIBC "$@" -nodefaultlibs -Wl,--start-group -l$libc -lgcc \
            -Wl,--end-group -Wl,--gc-sections -Wl,-z,noexecstack
    }
    for part in 0 1; do newlib -DPART=$part -o "$output/size-$part.elf"; done
    size=$(($(text "$output/size-1.elf") - $(text "$output/size-0.elf")))
    newlib -o "$output/peer.elf"
    row "newlib ($libc)" "$(embedded/run.sh cortex-m4 "$output/peer.elf")" "$size"
done
