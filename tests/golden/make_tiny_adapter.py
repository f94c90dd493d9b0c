# SPDX-License-Identifier: MIT
"""Writes tiny_adapter/ (a random adapter of tiny_gemma3.gguf, as peft saves it) and tiny_adapter.bin (what it computes).

usage: make_tiny_adapter.py GOLDEN_FOLDER            needs torch, transformers, peft, gguf, numpy
       make_tiny_adapter.py GOLDEN_FOLDER ADAPTER    compares an adapter that Bezel wrote with tiny_adapter.bin

tiny_adapter.bin, little-endian: u32 T, V; i32 ids[T]; f32 logits[V] of the last position with the adapter.
"""
import struct
import sys

import gguf
import numpy as np
import torch
from gguf.quants import dequantize
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import Gemma3ForCausalLM, Gemma3TextConfig

L, D, F, H, HKV, DH, W, CTX, T = 7, 32, 64, 4, 2, 32, 8, 1024, 48
NAMES = {"attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
         "attn_output": "self_attn.o_proj", "attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm",
         "post_attention_norm": "post_attention_layernorm", "ffn_norm": "pre_feedforward_layernorm", "ffn_gate": "mlp.gate_proj",
         "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj", "post_ffw_norm": "post_feedforward_layernorm"}


def base(folder):
    state = {}
    for t in gguf.GGUFReader(f"{folder}/tiny_gemma3.gguf").tensors:
        x = torch.from_numpy(np.array(dequantize(t.data, t.tensor_type), np.float32))
        part = t.name.split(".")
        if part[0] == "blk":
            name = f"model.layers.{part[1]}.{NAMES[part[2]]}.weight"
        else:
            name = {"token_embd": "model.embed_tokens.weight", "output_norm": "model.norm.weight"}[part[0]]
        state[name] = x - 1 if "norm" in t.name else x
    state["lm_head.weight"] = state["model.embed_tokens.weight"]
    V = state["lm_head.weight"].shape[0]
    kinds = ["full_attention" if (i + 1) % 6 == 0 else "sliding_attention" for i in range(L)]
    model = Gemma3ForCausalLM(Gemma3TextConfig(
        vocab_size=V, hidden_size=D, intermediate_size=F, num_hidden_layers=L, num_attention_heads=H,
        num_key_value_heads=HKV, head_dim=DH, query_pre_attn_scalar=DH, sliding_window=W, layer_types=kinds,
        max_position_embeddings=CTX, rms_norm_eps=1e-6, tie_word_embeddings=True, attn_implementation="eager",
        rope_parameters={"full_attention": {"rope_type": "default", "rope_theta": 1e6},
                         "sliding_attention": {"rope_type": "default", "rope_theta": 1e4}})).eval().to(torch.float32)
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not missing and not unexpected, (missing, unexpected)
    return model, V


def last_logits(model, ids):
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0, -1].numpy().astype("<f4")


def main(folder, other=None):
    torch.manual_seed(20261)
    model, V = base(folder)
    if other:
        with open(f"{folder}/tiny_adapter.bin", "rb") as f:
            n, v = struct.unpack("<2I", f.read(8))
            ids = np.frombuffer(f.read(4 * n), "<i4").tolist()
            want = np.frombuffer(f.read(4 * v), "<f4")
        got = last_logits(PeftModel.from_pretrained(model, other).eval(), ids)
        print("logits", want.std(), "largest difference", np.abs(got - want).max())
        return
    ids = [2] + np.random.default_rng(5).integers(11, V, T - 1).tolist()
    plain = last_logits(model, ids)
    targets = [n.split(".")[-1] for n in NAMES.values() if n.endswith("_proj")]
    tuned = get_peft_model(model, LoraConfig(r=2, lora_alpha=6, target_modules=targets, task_type="CAUSAL_LM")).eval()
    for name, p in tuned.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(p, std=0.3)
    logits = last_logits(tuned, ids)
    tuned.save_pretrained(f"{folder}/tiny_adapter", save_embedding_layers=False)
    with open(f"{folder}/tiny_adapter.bin", "wb") as f:
        f.write(struct.pack("<2I", len(ids), V) + np.array(ids, "<i4").tobytes() + logits.tobytes())
    print("without the adapter off by", np.abs(plain - logits).max(), "of", logits.std())


if __name__ == "__main__":
    main(*sys.argv[1:])
