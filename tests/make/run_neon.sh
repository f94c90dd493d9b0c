#!/bin/sh
# SPDX-License-Identifier: MIT
# The suites of the kernels and of what computes with them, built for 64-bit Arm, under qemu: on a processor with all that it
# can emulate, dot products among it, and at the same time on one without them. The last line is the number of checks.
#
#     run_neon.sh BUILD SYSROOT [SUITE...]     named suites run on both processors
set -eu

out=$1
. tests/make/scratch.sh
# Without fork: a child of a process with threads hangs under qemu now and then.
export QEMU_LD_PREFIX="$2" CK_FORK=no
shift 2
# Two processes, about as long as each other.
if [ $# -gt 0 ]; then
    first="max $*" second="cortex-a53 $*" third=
else
    first="max kernel ops screen key_block quant engine status" second="max decoder session" third="cortex-a53 kernel ops screen"
fi
unset BEZEL_ISA

# LOG CPU SUITE...: at the level that the library chooses itself.
run() {
    log=$scratch/$1
    export QEMU_CPU="$2"
    shift 2
    echo "--- $QEMU_CPU: $*" >"$log"
    timeout 900 qemu-aarch64 "$out/tests/run" --no-real "$@" >>"$log" 2>&1
}

QEMU_CPU=max qemu-aarch64 "$out/bezel" doctor >"$scratch/doctor" 2>&1 || true
grep '"isa":"neon"' "$scratch/doctor" || {
    cat "$scratch/doctor"
    echo "bezel doctor does not name the level neon" >&2
    exit 1
}

# shellcheck disable=SC2086  # several suites
{
    run second $second
    [ -z "$third" ] || run third $third
} &
beside=$!
failed=0
# shellcheck disable=SC2086
run first $first || failed=1
wait "$beside" || failed=1
total=0
for log in first second third; do
    [ -e "$scratch/$log" ] || continue
    if [ "$failed" != 0 ]; then cat "$scratch/$log"; else sed -n '1p;$p' "$scratch/$log"; fi
    checks=$(sed -n 's/^[0-9]*%: Checks: \([0-9]*\),.*/\1/p' "$scratch/$log" | tail -n 1)
    total=$((total + ${checks:-0}))
done
[ "$failed" = 0 ] || exit 1
echo "neon: $total checks"
