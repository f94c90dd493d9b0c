# SPDX-License-Identifier: MIT
# Makes quant_vectors.h: blocks of every quantised type and what gguf-py (PyPI "gguf", MIT) decodes them to.
# Run:  python3 make_quant_vectors.py > quant_vectors.h      (needs gguf and numpy)
# Q8_1 and Q8_K, which gguf-py does not decode, come from their closed forms d * q.
import struct, sys
from importlib.metadata import version
import numpy as np
from gguf import GGMLQuantizationType as T, quants

TYPES = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q8_1", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "Q8_K", "IQ4_NL", "IQ4_XS"]
SIZE = dict(Q4_0=18, Q4_1=20, Q5_0=22, Q5_1=24, Q8_0=34, Q8_1=36, Q2_K=84, Q3_K=110, Q4_K=144, Q5_K=176, Q6_K=210, Q8_K=292,
            IQ4_NL=18, IQ4_XS=136)
HALVES = dict(Q4_0=[0], Q4_1=[0, 2], Q5_0=[0], Q5_1=[0, 2], Q8_0=[0], Q8_1=[0, 2], Q2_K=[80, 82], Q3_K=[108], Q4_K=[0, 2],
              Q5_K=[0, 2], Q6_K=[208], Q8_K=[], IQ4_NL=[0], IQ4_XS=[0])
# what the halves hold: ordinary, negative, subnormal, largest, zero; and what the other bytes hold
CASES = [("random", 0x2c13, None), ("negative", 0xac13, None), ("subnormal", 0x0003, None), ("negative subnormal", 0x8155, None),
         ("largest", 0x7bff, 0xff), ("zero scale", 0x0000, None), ("bytes of -128", 0x3555, 0x80), ("zero bytes", 0x3555, 0x00)]

def decode(name, raw):
    if name == "Q8_1":
        d = np.frombuffer(raw[:2], np.float16).astype(np.float32)
        return d * np.frombuffer(raw[4:], np.int8).astype(np.float32)
    if name == "Q8_K":
        return np.frombuffer(raw[:4], np.float32) * np.frombuffer(raw[4:260], np.int8).astype(np.float32)
    return quants.dequantize(np.frombuffer(raw, np.uint8), T[name]).astype(np.float32)

def fnv(values):  # FNV-1a over the bits, -0 counted as 0
    h = 0xcbf29ce484222325
    for b in (values + np.float32(0)).astype("<f4").tobytes():
        h = ((h ^ b) * 0x100000001b3) & (2**64 - 1)
    return h

rng = np.random.default_rng(20)
print("/* SPDX-License-Identifier: MIT */")
print("/* Made by make_quant_vectors.py with gguf %s (PyPI, MIT licence) and numpy %s; do not edit. */" % (version("gguf"), np.__version__))
print("#ifndef GOLDEN_QUANT_VECTORS_H\n#define GOLDEN_QUANT_VECTORS_H\n\n#include <stdint.h>\n")
print("typedef struct quant_vector {\n    uint32_t dtype;\n    const char *what;\n    uint64_t hash;      /* FNV-1a of the bits of all values, -0 as 0 */\n"
      "    float first[4];\n    uint8_t block[292];\n} quant_vector;\n\nstatic const quant_vector quant_vectors[] = {")
for name in TYPES:
    for what, half, fill in CASES:
        raw = bytearray(rng.integers(0, 256, SIZE[name], np.uint8).tobytes())
        if fill is not None:
            raw = bytearray([fill]) * SIZE[name]
        for k, at in enumerate(HALVES[name]):
            raw[at:at + 2] = struct.pack("<H", half if k == 0 else 0x3011)
        if name == "Q8_K":
            raw[:4] = struct.pack("<f", float(np.frombuffer(struct.pack("<H", half), np.float16)[0]) * 1.2345)
        v = decode(name, bytes(raw))
        first = ", ".join(float(x).hex() + "f" for x in v[:4])
        lines = [", ".join("%d" % b for b in raw[i:i + 30]) for i in range(0, len(raw), 30)]
        print("    {%d, \"%s %s\", UINT64_C(0x%016x), {%s},\n     {%s}}," % (int(T[name]), name, what, fnv(v), first, ",\n      ".join(lines)))
print("};\n\n#endif")
