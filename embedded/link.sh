#!/bin/sh
# Links firmware for one board.
#
#   embedded/link.sh BOARD LIBRARY OUTPUT SOURCE… [-- COMPILER OPTIONS…]
#
# BOARD: cortex-m4, cortex-m3, cortex-m0 (linked only), riscv32.
set -eu
cd "$(dirname "$0")/.."
board=$1 library=$2 output=$3
shift 3
case $board in
cortex-m4) compiler=arm-none-eabi-gcc file=mps2 cpu="-mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16" ;;
cortex-m3) compiler=arm-none-eabi-gcc file=mps2 cpu="-mcpu=cortex-m3 -mthumb" ;;
cortex-m0) compiler=arm-none-eabi-gcc file=mps2 cpu="-mcpu=cortex-m0 -mthumb" ;;
riscv32) compiler=riscv64-unknown-elf-gcc file=virt cpu="-march=rv32imac_zicsr -mabi=ilp32" ;;
*) echo "embedded/link.sh: no board '$board': cortex-m4, cortex-m3, cortex-m0, riscv32" >&2; exit 2 ;;
esac
# shellcheck disable=SC2086 # options are meant to split
exec $compiler $cpu -std=gnu11 -Os -g -Wall -Wextra -Werror -ffreestanding -nostdlib -nostartfiles -Wl,-z,noexecstack \
    -ffunction-sections -fdata-sections -Iinclude -Iembedded/board -T "embedded/board/$file.ld" \
    "embedded/board/$file.c" embedded/board/common.c "$@" "$library" -lgcc -Wl,--gc-sections \
    -Wl,--no-warn-rwx-segments -o "$output"
