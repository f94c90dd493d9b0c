/* SPDX-License-Identifier: MIT */
/* Table of tensor element types. The sizes are those of the GGUF file format and checked against the fields they are made
 * of at compile time. It does not decode: that is compute/quant. */
#include "base/dtype.h"

/* Bytes of the fields, in file order (source: GGUF block layouts, MODEL.md 1.2). h = half, b = byte. */
_Static_assert(2 + 16 == 18, "Q4_0: h d, b qs[16]");
_Static_assert(2 + 2 + 16 == 20, "Q4_1: h d, h m, b qs[16]");
_Static_assert(2 + 4 + 16 == 22, "Q5_0: h d, b qh[4], b qs[16]");
_Static_assert(2 + 2 + 4 + 16 == 24, "Q5_1: h d, h m, b qh[4], b qs[16]");
_Static_assert(2 + 32 == 34, "Q8_0: h d, b qs[32]");
_Static_assert(2 + 2 + 32 == 36, "Q8_1: h d, h s, b qs[32]");
_Static_assert(256 / 16 + 256 / 4 + 2 + 2 == 84, "Q2_K: b scales[16], b qs[64], h d, h dmin");
_Static_assert(256 / 8 + 256 / 4 + 12 + 2 == 110, "Q3_K: b hmask[32], b qs[64], b scales[12], h d");
_Static_assert(2 + 2 + 12 + 256 / 2 == 144, "Q4_K: h d, h dmin, b scales[12], b qs[128]");
_Static_assert(2 + 2 + 12 + 256 / 8 + 256 / 2 == 176, "Q5_K: h d, h dmin, b scales[12], b qh[32], b qs[128]");
_Static_assert(256 / 2 + 256 / 4 + 256 / 16 + 2 == 210, "Q6_K: b ql[128], b qh[64], b scales[16], h d");
_Static_assert(4 + 256 + 2 * (256 / 16) == 292, "Q8_K: f32 d, b qs[256], i16 bsums[16]");
_Static_assert(2 + 2 + 4 + 256 / 2 == 136, "IQ4_XS: h d, h scales_h, b scales_l[4], b qs[128]");

static const bz_dtype dtype_rows[BZ_DTYPE_LIMIT] = {
    [BZ_DTYPE_F32] = {"F32", 1, 4},        [BZ_DTYPE_F16] = {"F16", 1, 2},
    [BZ_DTYPE_Q4_0] = {"Q4_0", 32, 18},    [BZ_DTYPE_Q4_1] = {"Q4_1", 32, 20},
    [BZ_DTYPE_Q5_0] = {"Q5_0", 32, 22},    [BZ_DTYPE_Q5_1] = {"Q5_1", 32, 24},
    [BZ_DTYPE_Q8_0] = {"Q8_0", 32, 34},    [BZ_DTYPE_Q8_1] = {"Q8_1", 32, 36},
    [BZ_DTYPE_Q2_K] = {"Q2_K", 256, 84},   [BZ_DTYPE_Q3_K] = {"Q3_K", 256, 110},
    [BZ_DTYPE_Q4_K] = {"Q4_K", 256, 144},  [BZ_DTYPE_Q5_K] = {"Q5_K", 256, 176},
    [BZ_DTYPE_Q6_K] = {"Q6_K", 256, 210},  [BZ_DTYPE_Q8_K] = {"Q8_K", 256, 292},
    [BZ_DTYPE_IQ4_NL] = {"IQ4_NL", 32, 18}, [BZ_DTYPE_IQ4_XS] = {"IQ4_XS", 256, 136},
    [BZ_DTYPE_BF16] = {"BF16", 1, 2},
};

const bz_dtype *bz_dtype_find(uint32_t id)
{
    if (id >= BZ_DTYPE_LIMIT || dtype_rows[id].block == 0)
        return NULL;
    return &dtype_rows[id];
}
