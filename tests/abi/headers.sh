#!/bin/sh
# SPDX-License-Identifier: MIT
# Every public header alone, and all together: as pedantic C99 and, where there is a C++ compiler, as C++17. No struct that
# crosses the ABI holds a type whose size depends on the compiler (long, bool, bit-field, enum).
set -eu

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
folders="core/include tools/include agents/include store/include"
flags=
for folder in $folders; do flags="$flags -I$folder"; done
cxx=
for program in g++ clang++; do command -v "$program" >/dev/null 2>&1 && cxx=$program && break; done
[ -n "$cxx" ] || [ -z "${CI:-}" ] || { echo "abi: no C++ compiler"; exit 1; }

n=0
: >"$scratch/all.c"
for header in core/include/bezel/*.h tools/include/bezel/*.h agents/include/bezel/*.h store/include/bezel/*.h; do
    line="#include <bezel/${header##*/}>"
    echo "$line" >>"$scratch/all.c"
    printf '%s\nint unused_%s;\n' "$line" "$n" >"$scratch/one.c"
    # shellcheck disable=SC2086  # several flags
    "${CC:-gcc}" -std=c99 -pedantic -Wall -Wextra -Wstrict-prototypes -Werror -fsyntax-only $flags "$scratch/one.c"
    # shellcheck disable=SC2086
    [ -z "$cxx" ] || "$cxx" -x c++ -std=c++17 -pedantic -Wall -Wextra -Werror -fsyntax-only $flags "$scratch/one.c"
    n=$((n + 1))
done
echo "int unused;" >>"$scratch/all.c"
# shellcheck disable=SC2086
"${CC:-gcc}" -std=c99 -pedantic -Wall -Wextra -Werror -fsyntax-only $flags "$scratch/all.c"

if grep -nE '^ +(unsigned )?(long|bool|_Bool|enum)\b[^(]*;|^ +[a-z_0-9 ]+ [a-z_0-9]+ *: *[0-9]+;' \
    core/include/bezel/*.h tools/include/bezel/*.h agents/include/bezel/*.h store/include/bezel/*.h; then
    echo "abi: a struct of a public header holds a type whose size depends on the compiler (above)"
    exit 1
fi
echo "abi: $n public headers stand alone as C99${cxx:+ and C++17}"
