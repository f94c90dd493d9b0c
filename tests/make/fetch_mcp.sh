#!/bin/sh
# SPDX-License-Identifier: MIT
# Puts the library "mcp" from the Python package index, both generations of it, into the cache folder, for the tests of the MCP
# client, and prints the folder: `new` speaks the protocol of 2026-07-28, `old` the handshake before it. Nothing is installed
# into Python; about 90 MB, half a minute, once.
set -eu

new=2.3.0
old=1.30.0

say() { printf 'bezel: %s\n' "$*" >&2; }
fail() {
    say "the tests with real MCP servers are left out: $*"
    exit 1
}

command -v python3 >/dev/null 2>&1 || fail "python3 is not installed"
python3 -m pip --version >/dev/null 2>&1 || fail "python3 has no pip (Debian: apt-get install python3-pip)"
[ -n "${XDG_CACHE_HOME:-}${HOME:-}" ] || fail "neither HOME nor XDG_CACHE_HOME is set"
python=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
folder=${XDG_CACHE_HOME:-$HOME/.cache}/bezel/mcp-$new-$old-python$python
mkdir -p "$folder" || fail "$folder cannot be made"

# A folder gets its name when it is whole; two runs at once do the work twice, and one of them wins.
fetch() {
    [ ! -d "$folder/$1" ] || return 0
    say "fetching mcp $2 from the Python package index, for tests"
    work=$(mktemp -d "$folder/fetch.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    trap 'exit 130' INT TERM HUP
    TMPDIR=$work python3 -m pip install -q --disable-pip-version-check --no-cache-dir --only-binary :all: \
        --no-warn-conflicts --root-user-action ignore --target "$work/whole" "mcp==$2" >&2 ||
        fail "pip could not fetch mcp $2 (its message is above)"
    mv "$work/whole" "$folder/$1" 2>/dev/null || [ -d "$folder/$1" ] || fail "$folder cannot be written"
    rm -rf "$work"
}

fetch new "$new"
fetch old "$old"
printf '%s\n' "$folder"
