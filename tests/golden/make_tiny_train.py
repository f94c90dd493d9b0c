# SPDX-License-Identifier: MIT
"""Writes tiny_train.bin: loss, gradients and ten steps of AdamW that PyTorch computes for tiny_gemma3.gguf with tiny_adapter,
all numbers of which are multiplied by 0.3.

usage: make_tiny_train.py GOLDEN_FOLDER            needs torch, transformers, peft, gguf, numpy

Little-endian: u32 examples, longest, steps; i32 ids[examples][longest] (-1 behind the end); i32 targets likewise (-1 = none);
f32 loss (the mean over the targets); then for each layer and q, k, v, o, gate, up, down: f32 gradient of A [rank, K] and of
B [N, rank]; f32 loss of each step; in the same order A and B after the steps. Rate 1e-3, weight decay 0.01, gradients clipped
to a length of 1, the whole batch in each step.
"""
import struct
import sys

import numpy as np
import torch
from make_tiny_adapter import L, base
from peft import PeftModel

TARGETS = [("self_attn", n) for n in ("q_proj", "k_proj", "v_proj", "o_proj")]
TARGETS += [("mlp", n) for n in ("gate_proj", "up_proj", "down_proj")]
STEPS = 10


def halves(model):
    for layer in model.base_model.model.model.layers[:L]:
        for part, name in TARGETS:
            linear = getattr(getattr(layer, part), name)
            yield linear.lora_A["default"].weight
            yield linear.lora_B["default"].weight


def main(folder):
    model, V = base(folder)
    model = PeftModel.from_pretrained(model, f"{folder}/tiny_adapter", is_trainable=True).eval()
    rng = np.random.default_rng(11)
    lengths = [21, 9, 14]
    ids = np.full((len(lengths), max(lengths)), -1)
    targets = ids.copy()
    for i, n in enumerate(lengths):
        ids[i, :n] = [2] + rng.integers(11, V, n - 1).tolist()
        targets[i, n // 2:n - 1] = ids[i, n // 2 + 1:n]

    def mean_loss():
        total, count = 0, 0
        for i, n in enumerate(lengths):  # one by one: what a pack must equal
            logits = model(torch.tensor(ids[i:i + 1, :n])).logits[0]
            wanted = torch.tensor(targets[i, :n])
            total = total + torch.nn.functional.cross_entropy(logits, wanted, ignore_index=-1, reduction="sum")
            count += int((wanted >= 0).sum())
        return total / count

    params = list(halves(model))
    for p in params:
        p.data.mul_(0.3)  # as it is, steps of float32 and float64 go apart
    first = mean_loss()
    first.backward()
    grads = [p.grad.numpy().copy() for p in params]
    optimizer = torch.optim.AdamW(params, lr=1e-3, weight_decay=0.01)
    losses = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = mean_loss()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(params, 1.0)
        optimizer.step()
        losses.append(loss.item())
    with open(f"{folder}/tiny_train.bin", "wb") as f:
        f.write(struct.pack("<3I", *ids.shape, STEPS) + ids.astype("<i4").tobytes() + targets.astype("<i4").tobytes())
        f.write(struct.pack("<f", first.item()))
        for g in grads:
            f.write(g.astype("<f4").tobytes())
        f.write(np.array(losses, "<f4").tobytes())
        for p in params:
            f.write(p.detach().numpy().astype("<f4").tobytes())
    print("loss", losses, "length of the gradient", np.sqrt(sum((g ** 2).sum() for g in grads)))


if __name__ == "__main__":
    main(*sys.argv[1:])
