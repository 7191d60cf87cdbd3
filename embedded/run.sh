#!/bin/sh
# Runs firmware under QEMU: embedded/run.sh BOARD ELF. The UART is standard
# output; the exit code is the firmware's. An instruction takes 64 ns of the
# machine's time, so its timers count instructions.
set -eu
board=$1 elf=$2
case $board in
cortex-m4) set -- qemu-system-arm -M mps2-an386 ;;
cortex-m3) set -- qemu-system-arm -M mps2-an385 ;;
linux) exec timeout 60 "$elf" ;;
riscv32) set -- qemu-system-riscv32 -M virt -bios none ;;
*) echo "embedded/run.sh: no machine for '$board'" >&2; exit 2 ;;
esac
exec timeout 300 "$@" -display none -monitor none -serial stdio -icount shift=6,align=off,sleep=off \
    -semihosting-config enable=on,target=native -kernel "$elf" </dev/null
