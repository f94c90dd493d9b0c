#!/bin/sh
# SPDX-License-Identifier: MIT
# Instructions that the kernels of the scalar and the AVX2 level take, by callgrind, against the counts in instructions.txt:
# a kernel that takes more than 3 % more than there fails. Counts belong to a compiler; with another one nothing is compared.
#
#     run_instructions.sh BUILD          compare
#     run_instructions.sh BUILD renew    write the counts (make instructions RENEW=1), after a change that was meant
set -eu

out=$1
stored=$(dirname "$0")/instructions.txt
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM

compiler=$(cat "$out/make/compiler")
compiler=$(${compiler%% *} --version | head -n 1)
if [ "${2:-}" != renew ] && [ "$(head -n 1 "$stored")" != "$compiler" ]; then
    printf 'instructions: counted with "%s", this is "%s": not compared\n' "$(head -n 1 "$stored")" "$compiler"
    exit 0
fi

printf '%s\n' "$compiler" >"$scratch/counts"
for level in scalar avx2; do
    status=0
    valgrind --quiet --tool=callgrind --callgrind-out-file="$scratch/$level" --toggle-collect='count_*' \
        "$out/tests/instructions" $level 2>"$scratch/log" || status=$?
    [ $status -ne 77 ] || continue # the machine cannot
    if [ $status -ne 0 ]; then
        cat "$scratch/log"
        exit $status
    fi
    callgrind_annotate --inclusive=yes --threshold=100 "$scratch/$level" |
        sed -n "s/^ *\([0-9,]*\) .*[:*]count_\([a-z0-9_]*\).*/$level \2 \1/p" | tr -d , | LC_ALL=C sort -u >>"$scratch/counts"
done

if [ "${2:-}" = renew ]; then
    cp "$scratch/counts" "$stored"
    echo "instructions: $(($(wc -l <"$stored") - 1)) counts stored"
    exit 0
fi
awk 'FNR == 1 { next }
    NR == FNR { before[$1 " " $2] = $3; next }
    !($1 " " $2 in before) { printf "instructions: %s %s has no stored count; make instructions RENEW=1\n", $1, $2; bad++; next }
    {
        n++
        ratio = $3 / before[$1 " " $2]
        if (ratio > 1.03) { printf "instructions: %s %s takes %d, %.1f %% more than %d\n", $1, $2, $3, (ratio - 1) * 100, before[$1 " " $2]; bad++ }
        if (ratio < 0.97) printf "instructions: %s %s takes %.1f %% fewer; make instructions RENEW=1 keeps that\n", $1, $2, (1 - ratio) * 100
    }
    END { if (n == 0) bad++; if (!bad) printf "instructions: good, %d counts\n", n; exit bad != 0 }' "$stored" "$scratch/counts"
