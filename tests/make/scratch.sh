# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2034  # read by those that source it
# To be sourced: a folder $scratch that goes at the end, for everything that tests leave, so that nothing of the user's is made
# or used but the demo model, and $user_cache, where it lies.
user_cache=${XDG_CACHE_HOME:-${HOME:-}/.cache}
model=${BEZEL_MODEL:-$user_cache/bezel/gemma-3-270m-q4_k_m.gguf}
[ ! -e "$model" ] || export BEZEL_MODEL="$model"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM
mkdir "$scratch/tmp"
export TMPDIR="$scratch/tmp" XDG_CACHE_HOME="$scratch/cache" XDG_DATA_HOME="$scratch/data"
unset BEZEL_STORE
