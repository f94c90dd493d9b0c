# SPDX-License-Identifier: MIT
"""Writes tiny_gemma3.gguf (a seeded random Gemma 3 of seven layers) and tiny_gemma3.bin (what transformers computes with it).

usage: make_tiny_reference.py OUTPUT_FOLDER       needs torch, transformers, gguf, numpy

The model is small enough to be kept in the repository and has everything that can go wrong: five local layers with a window
of 8, a global one, a local one after it, two query heads for each KV head, weights in three types. The text is longer than
window + slack of Bezel's KV ring (8 + 512), so the ring wraps.

tiny_gemma3.bin, little-endian: magic "BZTINY1\\0"; u32 T, L, D, V, n_probes, n_greedy; i32 ids[T]; u32 probes[n_probes];
f32 hidden[n_probes][L + 1][D] (embedding, then the residual stream after each layer); f32 logits[n_probes][V];
i32 greedy[n_greedy] (argmax continuation of ids); f32 margin[n_greedy].
"""
import struct
import sys

import gguf
import numpy as np
import torch
from gguf.quants import dequantize, quantize
from transformers import Gemma3ForCausalLM, Gemma3TextConfig

L, D, F, H, HKV, DH, W, CTX = 7, 32, 64, 4, 2, 32, 8, 1024
T, N_GREEDY = 640, 24
PROBES = [0, 1, 2, 6, 7, 8, 9, 15, 16, 31, 63, 127, 128, 255, 511, 519, 520, 521, 527, 639]
Q = gguf.GGMLQuantizationType
rng = np.random.default_rng(20260)


def vocabulary():
    """(text, score, type) of each id: marks, bytes, then pieces; a longer piece outranks the letters it is made of."""
    rows = [(t, -1000.0, 3) for t in ("<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<start_of_turn>", "<end_of_turn>")]
    rows += [("\n" * n, -1000.0, 4) for n in (1, 2, 3)]
    rows += [("\u2581" * n, -1000.0, 4) for n in (2, 3)]
    rows += [(f"<0x{b:02X}>", 0.0, 6) for b in range(256)]
    merged = ["\u2581t", "he", "in", "\u2581the", "an", "er", "\u2581a", "ing", "on", "\u2581is", "User", ":", "Us", "er:"]
    single = ["\u2581"] + [chr(c) for c in range(33, 127)] + ["\u00e9", "\u4e2d", "\u6587"]
    texts, seen = [], {r[0] for r in rows}
    for t in merged + single:
        if t not in seen:
            texts.append(t)
            seen.add(t)
    rows += [(t, -float(i), 1) for i, t in enumerate(texts)]
    while len(rows) % 32:
        rows.append((f"<unused{len(rows)}>", -1000.0, 3))
    return rows


def tensor(shape, scale, dtype):
    """Random rows, quantised; returns the bytes for the file and the values they stand for."""
    x = (rng.standard_normal(shape) * scale).astype(np.float32)
    raw = quantize(x, dtype)
    return raw, dequantize(raw, dtype).astype(np.float32)


def main(folder):
    rows = vocabulary()
    V = len(rows)
    w = gguf.GGUFWriter(f"{folder}/tiny_gemma3.gguf", "gemma3")
    w.add_name("Tiny Gemma 3")
    w.add_context_length(CTX)
    w.add_embedding_length(D)
    w.add_block_count(L)
    w.add_feed_forward_length(F)
    w.add_head_count(H)
    w.add_head_count_kv(HKV)
    w.add_key_length(DH)
    w.add_value_length(DH)
    w.add_layer_norm_rms_eps(1e-6)
    w.add_rope_freq_base(1e6)
    w.add_sliding_window(W)
    w.add_tokenizer_model("llama")
    w.add_token_list([r[0].encode() for r in rows])
    w.add_token_scores([r[1] for r in rows])
    w.add_token_types([r[2] for r in rows])
    w.add_bos_token_id(2)
    w.add_eos_token_id(1)
    w.add_unk_token_id(3)
    w.add_pad_token_id(0)
    w.add_add_bos_token(True)
    w.add_add_space_prefix(False)

    state = {}

    def matrix(name, hf, n, k, dtype, scale=None):
        raw, values = tensor((n, k), scale or k ** -0.5, dtype)
        w.add_tensor(name, raw, raw_dtype=dtype)
        state[hf] = torch.from_numpy(values)

    def norm(name, hf, n, level=1.0):
        x = (level * (1 + 0.2 * rng.standard_normal(n))).astype(np.float32)
        w.add_tensor(name, x)
        state[hf] = torch.from_numpy(x - np.float32(1))

    matrix("token_embd.weight", "model.embed_tokens.weight", V, D, Q.Q8_0)
    state["lm_head.weight"] = state["model.embed_tokens.weight"]
    norm("output_norm.weight", "model.norm.weight", D, 3.0)
    for i in range(L):
        b, m = f"blk.{i}.", f"model.layers.{i}."
        norm(b + "attn_norm.weight", m + "input_layernorm.weight", D)
        matrix(b + "attn_q.weight", m + "self_attn.q_proj.weight", H * DH, D, Q.Q5_0)
        matrix(b + "attn_k.weight", m + "self_attn.k_proj.weight", HKV * DH, D, Q.Q5_0)
        matrix(b + "attn_v.weight", m + "self_attn.v_proj.weight", HKV * DH, D, Q.Q8_0)
        matrix(b + "attn_output.weight", m + "self_attn.o_proj.weight", D, H * DH, Q.Q8_0)
        norm(b + "attn_q_norm.weight", m + "self_attn.q_norm.weight", DH, 1.5)
        norm(b + "attn_k_norm.weight", m + "self_attn.k_norm.weight", DH, 1.5)
        norm(b + "post_attention_norm.weight", m + "post_attention_layernorm.weight", D)
        norm(b + "ffn_norm.weight", m + "pre_feedforward_layernorm.weight", D)
        matrix(b + "ffn_gate.weight", m + "mlp.gate_proj.weight", F, D, Q.Q5_0)
        matrix(b + "ffn_up.weight", m + "mlp.up_proj.weight", F, D, Q.Q4_0)
        matrix(b + "ffn_down.weight", m + "mlp.down_proj.weight", D, F, Q.Q8_0)
        norm(b + "post_ffw_norm.weight", m + "post_feedforward_layernorm.weight", D)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()

    kinds = ["full_attention" if (i + 1) % 6 == 0 else "sliding_attention" for i in range(L)]
    config = Gemma3TextConfig(
        vocab_size=V, hidden_size=D, intermediate_size=F, num_hidden_layers=L, num_attention_heads=H,
        num_key_value_heads=HKV, head_dim=DH, query_pre_attn_scalar=DH, sliding_window=W, layer_types=kinds,
        max_position_embeddings=CTX, rms_norm_eps=1e-6, tie_word_embeddings=True, attn_implementation="eager",
        rope_parameters={"full_attention": {"rope_type": "default", "rope_theta": 1e6},
                         "sliding_attention": {"rope_type": "default", "rope_theta": 1e4}})
    model = Gemma3ForCausalLM(config).eval().to(torch.float32)
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not missing and not unexpected, (missing, unexpected)

    ids = [2] + rng.integers(11, V, T - 1).tolist()
    streams = []
    hooks = [model.model.layers[0].register_forward_pre_hook(
        lambda _, args, kwargs: streams.append((args[0] if args else kwargs["hidden_states"])[0]), with_kwargs=True)]
    hooks += [layer.register_forward_hook(
        lambda _, args, out: streams.append((out[0] if isinstance(out, tuple) else out).reshape(-1, T, D)[0]))
        for layer in model.model.layers]
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0]
        for h in hooks:
            h.remove()
        hidden = torch.stack(streams, 1)
        greedy, margin, now = [], [], list(ids)
        for _ in range(N_GREEDY):
            best = model(torch.tensor([now])).logits[0, -1].topk(2)
            greedy.append(best.indices[0].item())
            margin.append((best.values[0] - best.values[1]).item())
            now.append(greedy[-1])
    assert hidden.shape == (T, L + 1, D), hidden.shape
    with open(f"{folder}/tiny_gemma3.bin", "wb") as f:
        f.write(b"BZTINY1\0" + struct.pack("<6I", T, L, D, V, len(PROBES), N_GREEDY))
        f.write(np.array(ids, "<i4").tobytes() + np.array(PROBES, "<u4").tobytes())
        f.write(hidden[PROBES].numpy().astype("<f4").tobytes() + logits[PROBES].numpy().astype("<f4").tobytes())
        f.write(np.array(greedy, "<i4").tobytes() + np.array(margin, "<f4").tobytes())
    print("V", V, "greedy", greedy, "margin", [round(m, 3) for m in margin], "logit std", logits.std().item())


main(sys.argv[1])
