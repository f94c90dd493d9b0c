#!/bin/sh
# SPDX-License-Identifier: MIT
# All tests of a build: the examples on the tiny model, the Lua scripts in plain lua5.4, the command from outside, then the
# Check suites, whose totals are the last line.
#
#     run_tests.sh BUILD [SUITE...]     with suites named, only those
set -eu

out=$1
shift
. tests/make/scratch.sh
if [ $# -gt 0 ]; then
    "$out/tests/run" "$@"
    exit
fi

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

# A model that writes the call, then the answer: the whole way through a tool.
scripted=$scratch/scripted.gguf
"$out/tests/script_model" "$scripted" instruct 'get_stock(item="lamp")' 'There are twelve lamps.'
for program in "$out"/examples/*; do
    case $program in
    */tool_call)
        try "example tool_call" "$program" "$scripted"
        BEZEL_RECORD="$scratch/stock.jsonl" "$program" "$scripted" >"$scratch/recorded" || :
        BEZEL_REPLAY="$scratch/stock.jsonl" try "example tool_call from its recording" "$program" "$scripted"
        cmp -s "$scratch/recorded" "$scratch/out" || { echo "FAILED: the replay of tool_call differs"; failed=$((failed + 1)); }
        grep -q '^\[get_stock answered 12\]' "$scratch/out" || { echo "FAILED: tool_call did not call its tool"; failed=$((failed + 1)); }
        ;;
    *) try "example ${program##*/}" "$program" "$tiny" ;;
    esac
done
try "Lua's allocations failing" "$out/tests/lua_memory" "$scripted" "$scratch"

# Real MCP servers; without Python or network the tests of them are left out, but not in CI.
if BEZEL_TEST_MCP=$(XDG_CACHE_HOME=$user_cache sh tests/make/fetch_mcp.sh); then
    export BEZEL_TEST_MCP
else
    unset BEZEL_TEST_MCP
    [ -z "${CI:-}" ] || { echo "FAILED: no real MCP servers (above)"; failed=$((failed + 1)); }
fi
if lua5.4 tests/lua/run.lua "$out"; then
    echo "good: Lua scripts"
else
    failed=$((failed + 1))
    echo "FAILED: Lua scripts"
fi

if lua5.4 tests/command/run.lua "$out"; then
    echo "good: command"
else
    failed=$((failed + 1))
    echo "FAILED: command"
fi

# The page of a store in a browser; left out where there is none, but not in CI.
status=0
mkdir "$scratch/report"
lua5.4 tests/make/report_page.lua "$out" "$scratch/report" || status=$?
case $status in
0) echo "good: report page" ;;
3) [ -z "${CI:-}" ] || failed=$((failed + 1)) ;;
*)
    failed=$((failed + 1))
    echo "FAILED: report page"
    ;;
esac

status=0
"$out/tests/run" || status=$?
if [ "$failed" -gt 0 ]; then
    echo "Examples, Lua scripts or the command failed (above)." >&2
    exit 1
fi
exit "$status"
