#!/bin/sh
# Links firmware for one board.
#
#   embedded/link.sh BOARD LIBRARY OUTPUT SOURCE… [-- COMPILER OPTIONS…]
#
# BOARD: cortex-m4, cortex-m3, cortex-m0 (linked only), riscv32, linux (no board:
# a static x86_64 program without libc).
set -eu
[ $# -ge 4 ] || { sed -n 2,9p "$0" >&2; exit 2; }
cd "$(dirname "$0")/.."
board=$1 library=$2 output=$3
shift 3
case $board in
cortex-m4) compiler=arm-none-eabi-gcc file=mps2 cpu="-mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16" ;;
cortex-m3) compiler=arm-none-eabi-gcc file=mps2 cpu="-mcpu=cortex-m3 -mthumb" ;;
cortex-m0) compiler=arm-none-eabi-gcc file=mps2 cpu="-mcpu=cortex-m0 -mthumb" ;;
riscv32) compiler=riscv64-unknown-elf-gcc file=virt cpu="-march=rv32imac_zicsr -mabi=ilp32" ;;
linux)
    exec cc -std=gnu11 -Os -g -Wall -Wextra -Werror -ffreestanding -nostdlib -static -no-pie \
        -fno-stack-protector -Iinclude -Iembedded/board \
        -Wl,--section-start=.arena.memory=0x20000000 -Wl,--section-start=.arena.bank=0x21000000 \
        -Wl,--section-start=.arena.stack=0x22000000 -Wl,-z,noexecstack \
        '-Wl,--defsym=board_data_start=ADDR(.bss)' '-Wl,--defsym=board_data_end=ADDR(.bss)+SIZEOF(.bss)' \
        embedded/board/linux.c embedded/board/common.c "$@" "$library" -o "$output" ;;
*) echo "embedded/link.sh: no board '$board': cortex-m4, cortex-m3, cortex-m0, riscv32, linux" >&2; exit 2 ;;
esac
# shellcheck disable=SC2086 # options are meant to split
exec $compiler $cpu -std=gnu11 -Os -g -Wall -Wextra -Werror -ffreestanding -nostdlib -nostartfiles -Wl,-z,noexecstack \
    -ffunction-sections -fdata-sections -Iinclude -Iembedded/board -T "embedded/board/$file.ld" \
    "embedded/board/$file.c" embedded/board/common.c "$@" "$library" -lgcc -Wl,--gc-sections \
    -Wl,--no-warn-rwx-segments -o "$output"
