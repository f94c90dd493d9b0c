#!/bin/sh
# SPDX-License-Identifier: MIT
# Ten examples of a user's own two tools, three minutes of training: how many of 40 unseen questions give the right call?
#   examples/teach/user.sh [home|shop] [MINUTES] [THREADS]
# Writes build/teach-NAME (adapter, loss.svg). S6 is the share of right calls: function and every argument.
set -e
name=${1:-home} minutes=${2:-3} threads=${3:-2}
out=build/teach-$name
rm -rf "$out" && mkdir -p "$out/unseen"
lua5.4 examples/teach/unseen.lua "examples/teach/$name" >"$out/unseen/multiple_$name.jsonl"
build/bezel teach --tools "examples/teach/$name/tools.json" --examples "examples/teach/$name/mine.jsonl" --minutes "$minutes" \
  --threads "$threads" --output "$out"
for held in off on; do
  build/bezel bench calls --data "$out/unseen" --limit 40 --adapter "$out" --constraint $held --threads "$threads" --quiet
done
