#!/bin/sh
# SPDX-License-Identifier: MIT
# The suites, but those of the real model, and the examples under ASan and UBSan. At AVX2 or lower, so that every machine
# checks the same code; without fork, so that a leak is seen.
#
#     run_sanitize.sh BUILD [SUITE...]
set -eu

out=$1
shift
. tests/make/scratch.sh
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 UBSAN_OPTIONS=print_stacktrace=1
export CK_FORK=no CK_TIMEOUT_MULTIPLIER=10
if [ -z "${BEZEL_ISA:-}" ]; then
    BEZEL_ISA=scalar
    ! grep -qw avx2 /proc/cpuinfo 2>/dev/null || BEZEL_ISA=avx2
    export BEZEL_ISA
fi
if [ $# -eq 0 ]; then
    "$out/tests/script_model" "$scratch/model.gguf" instruct 'get_stock(item="lamp")' 'There are twelve lamps.'
    for program in "$out"/examples/*; do
        "$program" "$scratch/model.gguf" </dev/null >/dev/null
    done
    "$out/tests/lua_memory" "$scratch/model.gguf" "$scratch"
    # The Lua module in a plain interpreter, which needs the sanitizer first; once more with the collector at every step.
    preload=$("${CC:-gcc}" -print-file-name=libasan.so)
    if [ -e "$preload" ] && "$out/tests/run" --list >/dev/null; then
        LD_PRELOAD=$preload lua5.4 tests/lua/run.lua "$out"
        LD_PRELOAD=$preload BEZEL_LUA_GC=stress lua5.4 tests/lua/run.lua "$out"
    fi
fi
"$out/tests/run" --no-real "$@"
