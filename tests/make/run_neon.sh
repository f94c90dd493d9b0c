#!/bin/sh
# SPDX-License-Identifier: MIT
# The suites of the kernels and of what computes with them, built for 64-bit Arm, under qemu: on a processor with all that it
# can emulate, dot products among it, and at the same time on one without them. The last line is the number of checks.
#
#     run_neon.sh BUILD SYSROOT [SUITE...]     named suites run on both processors
set -eu

out=$1
export QEMU_LD_PREFIX="$2" CK_TIMEOUT_MULTIPLIER=20
shift 2
suites="${*:-kernel ops screen key_block quant decoder session engine status}"
suites_without="${*:-kernel ops screen}"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM
export XDG_DATA_HOME="$scratch" XDG_CACHE_HOME="$scratch"
unset BEZEL_ISA BEZEL_STORE

# CPU SUITE...: at the level that the library chooses itself.
run() {
    cpu=$1
    shift
    QEMU_CPU=$cpu qemu-aarch64 "$out/tests/run" --no-real "$@" >"$scratch/$cpu" 2>&1
}

QEMU_CPU=max qemu-aarch64 "$out/bezel" doctor >"$scratch/doctor" 2>&1 || true
grep '"isa":"neon"' "$scratch/doctor" || {
    cat "$scratch/doctor"
    echo "bezel doctor does not name the level neon" >&2
    exit 1
}

# shellcheck disable=SC2086  # several suites
run cortex-a53 $suites_without &
without=$!
failed=0
# shellcheck disable=SC2086
run max $suites || failed=1
wait "$without" || failed=1
total=0
for cpu in max cortex-a53; do
    echo "--- $cpu"
    if [ "$failed" != 0 ]; then cat "$scratch/$cpu"; else tail -n 1 "$scratch/$cpu"; fi
    checks=$(sed -n 's/^[0-9]*%: Checks: \([0-9]*\),.*/\1/p' "$scratch/$cpu" | tail -n 1)
    total=$((total + ${checks:-0}))
done
[ "$failed" = 0 ] || exit 1
echo "neon: $total checks"
