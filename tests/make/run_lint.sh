#!/bin/sh
# SPDX-License-Identifier: MIT
# All checks of the source and of what was built from it: tests/lint, the public headers alone, the shell scripts, the scripts
# of make bench.
#
#     run_lint.sh BUILD
set -eu

out=$1
failed=0
for check in includes sizes banned headers globals symbols; do
    lua5.4 "tests/lint/$check.lua" "$out" || failed=1
done
lua5.4 tests/make/reference.lua --check || failed=1
sh tests/abi/headers.sh || failed=1
if command -v python3 >/dev/null 2>&1; then
    python3 -B tests/bench/test_bench.py -q && echo "lint: scripts of make bench: good" || failed=1
else
    echo "lint: scripts of make bench: left out, python3 is not installed"
fi
if command -v shellcheck >/dev/null 2>&1; then
    shellcheck tests/make/*.sh tests/abi/*.sh .ci/run && echo "lint: shell scripts: good" || failed=1
elif [ -n "${CI:-}" ]; then
    echo "lint: shell scripts: shellcheck is not installed"
    failed=1
else
    echo "lint: shell scripts: left out, shellcheck is not installed"
fi
exit "$failed"
