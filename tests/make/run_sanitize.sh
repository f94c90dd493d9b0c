#!/bin/sh
# SPDX-License-Identifier: MIT
# The suites, but those of the real model, and the examples under ASan and UBSan. At AVX2 or lower, so that every machine
# checks the same code; without fork, so that a leak is seen.
#
#     run_sanitize.sh BUILD [SUITE...]
set -eu

out=$1
shift
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 UBSAN_OPTIONS=print_stacktrace=1
export CK_FORK=no CK_TIMEOUT_MULTIPLIER=10
if [ -z "${BEZEL_ISA:-}" ]; then
    BEZEL_ISA=scalar
    ! grep -qw avx2 /proc/cpuinfo 2>/dev/null || BEZEL_ISA=avx2
    export BEZEL_ISA
fi
if [ $# -eq 0 ]; then
    for program in "$out"/examples/*; do
        "$program" tests/golden/tiny_gemma3.gguf </dev/null >/dev/null
    done
fi
exec "$out/tests/run" --no-real "$@"
