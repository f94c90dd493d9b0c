#!/bin/sh
# SPDX-License-Identifier: MIT
# The libraries and headers of 64-bit Arm in a folder, for cross builds: Debian packages from the mirrors that this system
# uses, fetched and checked by apt, unpacked there. Needs no root and changes nothing of the system.
#
#     arm_sysroot.sh FOLDER     does nothing when FOLDER has them
set -eu

packages="libc6-dev check libsubunit-dev libcjson-dev libpcre2-dev libsqlite3-dev libopenblas-serial-dev
    libcurl4-openssl-dev liblua5.4-dev libsodium-dev libutf8proc-dev libedit-dev"
triplet=aarch64-linux-gnu
root=${1:?}
stamp=$root/.packages

if [ -e "$stamp" ] && [ "$(cat "$stamp")" = "$packages" ]; then
    exit 0
fi
command -v apt-get >/dev/null 2>&1 || {
    echo "bezel: no apt-get; put the libraries of 64-bit Arm into $root yourself and their list into $stamp" >&2
    exit 2
}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$scratch/lists/partial" "$scratch/archives/partial" "$root"

apt() {
    apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Dir::State::lists="$scratch/lists" \
        -o Dir::State::status=/dev/null -o Dir::Cache="$scratch" -o Acquire::Languages=none -o APT::Sandbox::User=root \
        -o Debug::NoLocking=1 -o Acquire::Retries=3 "$@"
}

echo "Fetching libraries of 64-bit Arm into $root"
apt update
# shellcheck disable=SC2086  # several packages
apt install -y --download-only --no-install-recommends $packages >"$scratch/log" || {
    cat "$scratch/log"
    echo "bezel: the packages of 64-bit Arm could not be fetched; do this system's mirrors carry arm64?" >&2
    exit 2
}
for package in "$scratch"/archives/*.deb; do
    dpkg-deb -x "$package" "$root"
done
(cd "$root" && rm -rf usr/share usr/bin usr/sbin sbin bin var etc)

# Links from the root of a system to the root of this one, and what Debian's alternatives would link.
find "$root/usr/lib/$triplet" -type l -lname '/*' | while read -r link; do
    ln -sfn "$root$(readlink "$link")" "$link"
done
for file in "$root/usr/lib/$triplet"/openblas-serial/libopenblas*; do
    ln -sf "openblas-serial/${file##*/}" "$root/usr/lib/$triplet/${file##*/}"
done
printf '%s\n' "$packages" >"$stamp"
