/* SPDX-License-Identifier: MIT */
/* NEON level without dot products: one position in products of 16 bits (the frame and its invariant: kernel_decode_neon.h). */
#include "compute/kernel_decode_neon.h"

BZ_NEON_INLINE int32x4_t decode_neon_products(int32x4_t sum, int8x16_t w, const int16_t *q)
{
    const int16x8_t low = vmovl_s8(vget_low_s8(w)), high = vmovl_high_s8(w), a = vld1q_s16(q), b = vld1q_s16(q + 8);
    sum = vmlal_high_s16(vmlal_s16(sum, vget_low_s16(low), vget_low_s16(a)), low, a);
    return vmlal_high_s16(vmlal_s16(sum, vget_low_s16(high), vget_low_s16(b)), high, b);
}

BZ_NEON_INLINE int32x4_t decode_neon_16(int8x16_t w, const decode_neon_input *in, size_t e, const int is_signed)
{
    (void)is_signed;
    return decode_neon_products(vdupq_n_s32(0), w, in->q + e);
}

BZ_NEON_INLINE int32x4_t decode_neon_32(int8x16x2_t w, const decode_neon_input *in, size_t e, const int is_signed)
{
    return decode_neon_products(decode_neon_16(w.val[0], in, e, is_signed), w.val[1], in->q + e + 16);
}

BZ_NEON_INLINE void decode_neon_split(decode_neon_input *in, size_t e, const int is_signed, int32_t offset)
{
    const int32x4_t sum = vpadalq_s16(vpaddlq_s16(vld1q_s16(in->q + e)), vld1q_s16(in->q + e + 8));
    (void)is_signed;
    in->off[e / 16] = offset * vaddvq_s32(sum);
}

int bz_neon_decode(float *y, const void *w, uint32_t dtype, size_t n_begin, size_t n_end, const void *x, size_t K)
{
    decode_neon_job job = {.y = y, .first = n_begin, .n = n_begin < n_end ? n_end - n_begin : 0};
    return decode_neon_run(&job, w, dtype, x, K);
}

int bz_neon_decode_listed(float *y, const void *w, uint32_t dtype, const int32_t *rows, size_t n_rows, const void *x, size_t K)
{
    decode_neon_job job = {.y = y, .n = n_rows, .list = rows};
    return decode_neon_run(&job, w, dtype, x, K);
}
