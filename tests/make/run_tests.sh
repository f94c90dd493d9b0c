#!/bin/sh
# SPDX-License-Identifier: MIT
# All tests of a build: the examples on the tiny model, the Lua scripts of tests/lua in plain lua5.4, then the Check suites,
# whose totals are the last line.
#
#     run_tests.sh BUILD [SUITE...]     with suites named, only those
set -eu

out=$1
shift
if [ $# -gt 0 ]; then
    exec "$out/tests/run" "$@"
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM
tiny=tests/golden/tiny_gemma3.gguf
failed=0

# Runs a command; shows what it said only when its status is not 0.
try() {
    what=$1
    shift
    if "$@" >"$scratch/out" 2>&1 </dev/null; then
        printf 'good: %s\n' "$what"
    else
        status=$?
        failed=$((failed + 1))
        printf 'FAILED (status %s): %s\n' "$status" "$what"
        tail -n 40 "$scratch/out"
    fi
}

for program in "$out"/examples/*; do
    [ -x "$program" ] && try "example ${program##*/}" "$program" "$tiny"
done

LUA_CPATH="$(cd "$out" && pwd)/?.so"
LUA_PATH="./?.lua;./tests/lua/?.lua;./examples/lua/?.lua;;"
BEZEL_BUILD=$out
export LUA_CPATH LUA_PATH BEZEL_BUILD
for script in tests/lua/test_*.lua; do
    [ -e "$script" ] && try "$script" lua5.4 "$script"
done

status=0
"$out/tests/run" || status=$?
if [ "$failed" -gt 0 ]; then
    echo "$failed examples or Lua scripts failed (above)." >&2
    exit 1
fi
exit "$status"
