/* SPDX-License-Identifier: MIT */
/* NEON level with dot products of bytes: one position (the frame and its invariant: kernel_decode_neon.h). An activation is
 * q = 256 high + low, high signed and low unsigned, so a sum of products is 256 times that of the high bytes (signed products)
 * plus that of the low ones (unsigned products). Signed weights are raised by 128 for the latter. */
#include "compute/kernel_decode_neon.h"

BZ_NEON_INLINE uint8x16_t decode_dotprod_unsigned(int8x16_t w, const int is_signed)
{
    return vreinterpretq_u8_s8(is_signed ? veorq_s8(w, vdupq_n_s8(-128)) : w);
}

BZ_NEON_INLINE int32x4_t decode_dotprod_join(int32x4_t high, uint32x4_t low)
{
    return vaddq_s32(vshlq_n_s32(high, 8), vreinterpretq_s32_u32(low));
}

BZ_NEON_INLINE int32x4_t decode_neon_16(int8x16_t w, const decode_neon_input *in, size_t e, const int is_signed)
{
    const int32x4_t high = vdotq_s32(vdupq_n_s32(0), w, vld1q_s8(in->high + e));
    return decode_dotprod_join(high, vdotq_u32(vdupq_n_u32(0), decode_dotprod_unsigned(w, is_signed), vld1q_u8(in->low + e)));
}

BZ_NEON_INLINE int32x4_t decode_neon_32(int8x16x2_t w, const decode_neon_input *in, size_t e, const int is_signed)
{
    int32x4_t high = vdupq_n_s32(0);
    uint32x4_t low = vdupq_n_u32(0);
    BZ_NEON_UNROLL for (size_t h = 0; h < 2; h++)
    {
        high = vdotq_s32(high, w.val[h], vld1q_s8(in->high + e + 16 * h));
        low = vdotq_u32(low, decode_dotprod_unsigned(w.val[h], is_signed), vld1q_u8(in->low + e + 16 * h));
    }
    return decode_dotprod_join(high, low);
}

BZ_NEON_INLINE void decode_neon_split(decode_neon_input *in, size_t e, const int is_signed, int32_t offset)
{
    const int16x8_t a = vld1q_s16(in->q + e), b = vld1q_s16(in->q + e + 8);
    const uint8x16_t low = vuzp1q_u8(vreinterpretq_u8_s16(a), vreinterpretq_u8_s16(b));
    vst1q_u8(in->low + e, low);
    vst1q_s8(in->high + e, vuzp2q_s8(vreinterpretq_s8_s16(a), vreinterpretq_s8_s16(b)));
    in->off[e / 16] = is_signed ? 128 * (int32_t)vaddlvq_u8(low) : offset * vaddvq_s32(vpadalq_s16(vpaddlq_s16(a), b));
}

int bz_dotprod_decode(float *y, const void *w, uint32_t dtype, size_t n_begin, size_t n_end, const void *x, size_t K)
{
    decode_neon_job job = {.y = y, .first = n_begin, .n = n_begin < n_end ? n_end - n_begin : 0};
    return decode_neon_run(&job, w, dtype, x, K);
}

int bz_dotprod_decode_listed(float *y, const void *w, uint32_t dtype, const int32_t *rows, size_t n_rows, const void *x,
                             size_t K)
{
    decode_neon_job job = {.y = y, .n = n_rows, .list = rows};
    return decode_neon_run(&job, w, dtype, x, K);
}
