#!/bin/sh
# SPDX-License-Identifier: MIT
# Suites under valgrind: those that handle foreign bytes, strings and SQLite, which ASan sees only in our own code. The suites
# of pure arithmetic are left out, they would take an hour.
#
#     run_valgrind.sh BUILD [SUITE...]
set -eu

out=$1
shift
. tests/make/scratch.sh
export CK_FORK=no CK_TIMEOUT_MULTIPLIER=60 BEZEL_ISA=scalar
[ $# -gt 0 ] || set -- status strbuf utf8 value vocab detokenizer stop_match store_journal store_query store_search
valgrind --quiet --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite --child-silent-after-fork=yes \
    "$out/tests/run" --no-real "$@"
