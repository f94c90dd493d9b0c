/* SPDX-License-Identifier: MIT */
/* The frame of products of one position with many rows, straight from the blocks, for the types that models are mostly made
 * of; for the NEON files with and without dot products. Eight rows go side by side: the four sums of a row's part are added
 * up over the rows by pairwise adds that leave one row a lane, so the float part is the one of compute/activation.h with rows
 * as lanes, and its bits. Unsigned weights stay unsigned; what their offset adds is a product of the position's sums, exact
 * in integers, and taken off in one subtraction a part (decode_neon_input.off).
 * The file that includes this defines, before it uses decode_neon_run,
 *     decode_neon_16, decode_neon_32    four sums of 16 or 32 weights with the position from element e on
 *     decode_neon_split                 what it needs of a group of the position, and `off`
 * Does not: unpack other types (kernel_gemm_neon.h). */
#ifndef BZ_KERNEL_DECODE_NEON_H
#define BZ_KERNEL_DECODE_NEON_H

#include "compute/activation.h"
#include "compute/kernel_neon.h"
#include "compute/quant.h"

#include <arm_neon.h>
#include <string.h>

enum {
    DECODE_NEON_ROWS = 8,
    DECODE_NEON_CHUNK = 8192,
    DECODE_NEON_AHEAD = 2 /* eights of rows asked for ahead */
};

/* A stretch of the position. */
typedef struct decode_neon_input {
    const int16_t *q;
    int8_t high[DECODE_NEON_CHUNK]; /* q = 256 high + low, for dot products */
    uint8_t low[DECODE_NEON_CHUNK];
    int32_t off[DECODE_NEON_CHUNK / 16]; /* of half a group: what the sums have too much */
    const float *d, *total;
    size_t n_groups;
    int add; /* not the first stretch: goes on from y */
} decode_neon_input;

/* is_signed: the type has negative weights, else they are 0..63. */
BZ_NEON_INLINE int32x4_t decode_neon_16(int8x16_t w, const decode_neon_input *in, size_t e, const int is_signed);
BZ_NEON_INLINE int32x4_t decode_neon_32(int8x16x2_t w, const decode_neon_input *in, size_t e, const int is_signed);
/* Half a group from element e on; `offset` is what was not taken off the weights. */
BZ_NEON_INLINE void decode_neon_split(decode_neon_input *in, size_t e, const int is_signed, int32_t offset);

/* ---- weights ------------------------------------------------------------------------------------------------------------ */

BZ_NEON_INLINE int decode_neon_is_signed(const uint32_t dtype)
{
    return dtype == BZ_DTYPE_Q8_0 || dtype == BZ_DTYPE_IQ4_NL;
}

/* What is taken off the unsigned weights of a type. */
BZ_NEON_INLINE int32_t decode_neon_offset(const uint32_t dtype)
{
    return dtype == BZ_DTYPE_Q5_0 ? 16 : dtype == BZ_DTYPE_Q4_0 ? 8 : dtype == BZ_DTYPE_Q6_K ? 32 : 0;
}

BZ_NEON_INLINE int8x16x2_t decode_neon_pair(uint8x16_t low, uint8x16_t high)
{
    const int8x16x2_t pair = {{vreinterpretq_s8_u8(low), vreinterpretq_s8_u8(high)}};
    return pair;
}

/* 16 where bit i of the two bytes at p is set. */
BZ_NEON_INLINE uint8x16_t decode_neon_fifth(const uint8_t *p)
{
    const uint8x16_t place = vcombine_u8(vcreate_u8(0x8040201008040201), vcreate_u8(0x8040201008040201));
    return vandq_u8(vtstq_u8(vcombine_u8(vdup_n_u8(p[0]), vdup_n_u8(p[1])), place), vdupq_n_u8(16));
}

/* p: a block of 32. */
BZ_NEON_INLINE int8x16x2_t decode_neon_narrow(const uint8_t *p, const uint32_t dtype)
{
    const uint8x16_t mask = vdupq_n_u8(15);
    if (dtype == BZ_DTYPE_Q8_0)
        return decode_neon_pair(vld1q_u8(p + 2), vld1q_u8(p + 18));
    if (dtype == BZ_DTYPE_Q5_0) {
        const uint8x16_t x = vld1q_u8(p + 6);
        return decode_neon_pair(vorrq_u8(vandq_u8(x, mask), decode_neon_fifth(p + 2)),
                                vorrq_u8(vshrq_n_u8(x, 4), decode_neon_fifth(p + 4)));
    }
    const uint8x16_t x = vld1q_u8(p + 2), low = vandq_u8(x, mask), high = vshrq_n_u8(x, 4);
    if (dtype == BZ_DTYPE_Q4_0)
        return decode_neon_pair(low, high);
    const int8x16_t table = vld1q_s8(bz_quant_iq4_values);
    const int8x16x2_t pair = {{vqtbl1q_s8(table, low), vqtbl1q_s8(table, high)}};
    return pair;
}

/* Half h of group B of a block of 256. */
BZ_NEON_INLINE uint8x16_t decode_neon_wide(const uint8_t *p, const uint32_t dtype, const size_t B, const size_t h)
{
    const uint8x16_t mask = vdupq_n_u8(15);
    if (dtype == BZ_DTYPE_Q4_K) {
        const uint8x16_t x = vld1q_u8(p + 16 + 32 * (B >> 1) + 16 * h);
        return B & 1 ? vshrq_n_u8(x, 4) : vandq_u8(x, mask);
    }
    const size_t H = B >> 2, J = B & 3;
    const uint8x16_t low = vld1q_u8(p + 64 * H + 32 * (J & 1) + 16 * h), high = vld1q_u8(p + 128 + 32 * H + 16 * h);
    const uint8x16_t two = vshlq_u8(high, vdupq_n_s8((int8_t)(4 - 2 * (int)J))); /* bits 2J, 2J + 1 to 4, 5 */
    return vorrq_u8(J < 2 ? vandq_u8(low, mask) : vshrq_n_u8(low, 4), vandq_u8(two, vdupq_n_u8(0x30)));
}

/* ---- eight rows --------------------------------------------------------------------------------------------------------- */

typedef struct decode_neon_lanes { /* rows 0-3 and 4-7 */
    float32x4_t v[2];
} decode_neon_lanes;

/* v[r] has four sums of row r. y = fma(sum - off, scale * d, y). */
BZ_NEON_INLINE void decode_neon_add(decode_neon_lanes *y, const int32x4_t v[8], int32_t off, decode_neon_lanes scale, float d)
{
    BZ_NEON_UNROLL for (int h = 0; h < 2; h++)
    {
        const int32x4_t low = vpaddq_s32(v[4 * h], v[4 * h + 1]), high = vpaddq_s32(v[4 * h + 2], v[4 * h + 3]);
        const int32x4_t sum = vsubq_s32(vpaddq_s32(low, high), vdupq_n_s32(off));
        y->v[h] = vfmaq_f32(y->v[h], vcvtq_f32_s32(sum), vmulq_n_f32(scale.v[h], d));
    }
}

/* Half floats at p[r] + at, r = 0..7. */
BZ_NEON_INLINE decode_neon_lanes decode_neon_halves(const uint8_t *const p[8], size_t at)
{
    uint16_t half[8];
    decode_neon_lanes out;
    BZ_NEON_UNROLL for (int r = 0; r < 8; r++) memcpy(half + r, p[r] + at, sizeof half[0]);
    const float16x8_t v = vreinterpretq_f16_u16(vld1q_u16(half));
    out.v[0] = vcvt_f32_f16(vget_low_f16(v));
    out.v[1] = vcvt_high_f32_f16(v);
    return out;
}

BZ_NEON_INLINE void decode_neon_narrow_rows(decode_neon_lanes *y, const uint8_t *const row[8], const uint32_t dtype,
                                            const size_t size, const decode_neon_input *in, size_t ahead)
{
    for (size_t g = 0, at = 0; g < in->n_groups; g++, at += size) {
        int32x4_t v[8];
        BZ_NEON_UNROLL for (int r = 0; r < 8; r++)
        {
            __builtin_prefetch(row[r] + at + ahead);
            v[r] = decode_neon_32(decode_neon_narrow(row[r] + at, dtype), in, 32 * g, decode_neon_is_signed(dtype));
        }
        decode_neon_add(y, v, in->off[2 * g] + in->off[2 * g + 1], decode_neon_halves(row, at), in->d[g]);
    }
}

/* Eight bytes of eight rows, transposed: out[i] has byte i of row r in lane r. */
BZ_NEON_INLINE void decode_neon_transpose(uint8x8_t out[8], const uint64_t row[8])
{
    uint8x8_t a[8], b[8];
    BZ_NEON_UNROLL for (int r = 0; r < 8; r += 2)
    {
        a[r] = vtrn1_u8(vcreate_u8(row[r]), vcreate_u8(row[r + 1]));
        a[r + 1] = vtrn2_u8(vcreate_u8(row[r]), vcreate_u8(row[r + 1]));
    }
    BZ_NEON_UNROLL for (int i = 0; i < 4; i++)
    {
        const int r = i / 2 * 4 + i % 2;
        const uint16x4_t low = vreinterpret_u16_u8(a[r]), high = vreinterpret_u16_u8(a[r + 2]);
        b[r] = vreinterpret_u8_u16(vtrn1_u16(low, high));
        b[r + 2] = vreinterpret_u8_u16(vtrn2_u16(low, high));
    }
    BZ_NEON_UNROLL for (int i = 0; i < 4; i++)
    {
        const uint32x2_t low = vreinterpret_u32_u8(b[i]), high = vreinterpret_u32_u8(b[i + 4]);
        out[i] = vreinterpret_u8_u32(vtrn1_u32(low, high));
        out[i + 4] = vreinterpret_u8_u32(vtrn2_u32(low, high));
    }
}

BZ_NEON_INLINE decode_neon_lanes decode_neon_times_unsigned(decode_neon_lanes d, uint8x8_t bytes)
{
    const uint16x8_t wide = vmovl_u8(bytes);
    d.v[0] = vmulq_f32(d.v[0], vcvtq_f32_u32(vmovl_u16(vget_low_u16(wide))));
    d.v[1] = vmulq_f32(d.v[1], vcvtq_f32_u32(vmovl_high_u16(wide)));
    return d;
}

BZ_NEON_INLINE decode_neon_lanes decode_neon_times_signed(decode_neon_lanes d, uint8x8_t bytes)
{
    const int16x8_t wide = vmovl_s8(vreinterpret_s8_u8(bytes));
    d.v[0] = vmulq_f32(d.v[0], vcvtq_f32_s32(vmovl_s16(vget_low_s16(wide))));
    d.v[1] = vmulq_f32(d.v[1], vcvtq_f32_s32(vmovl_high_s16(wide)));
    return d;
}

/* The scales and minima of a block of Q4_K, six bits each, to bytes: eight scales, eight minima. */
BZ_NEON_INLINE void decode_neon_scales_k4(uint64_t *scale, uint64_t *min, const uint8_t *p)
{
    uint32_t word[3];
    memcpy(word, p + 4, sizeof word);
    *scale = (word[0] & 0x3f3f3f3fu) | (uint64_t)((word[2] & 0x0f0f0f0fu) | ((word[0] >> 2) & 0x30303030u)) << 32;
    *min = (word[1] & 0x3f3f3f3fu) | (uint64_t)(((word[2] >> 4) & 0x0f0f0f0fu) | ((word[1] >> 2) & 0x30303030u)) << 32;
}

BZ_NEON_INLINE void decode_neon_q4_k_rows(decode_neon_lanes *y, const uint8_t *const row[8], const decode_neon_input *in,
                                          size_t ahead)
{
    for (size_t g0 = 0, at = 0; g0 < in->n_groups; g0 += 8, at += 144) {
        uint64_t packed[2][8];
        uint8x8_t scale[8], min[8];
        BZ_NEON_UNROLL for (int r = 0; r < 8; r++)
        {
            decode_neon_scales_k4(&packed[0][r], &packed[1][r], row[r] + at);
            __builtin_prefetch(row[r] + at + ahead);
            __builtin_prefetch(row[r] + at + ahead + 64);
            __builtin_prefetch(row[r] + at + ahead + 128);
        }
        decode_neon_transpose(scale, packed[0]);
        decode_neon_transpose(min, packed[1]);
        const decode_neon_lanes d = decode_neon_halves(row, at), d_min = decode_neon_halves(row, at + 2);
        BZ_NEON_UNROLL for (size_t B = 0; B < 8; B++)
        {
            const size_t g = g0 + B;
            int32x4_t v[8];
            BZ_NEON_UNROLL for (int r = 0; r < 8; r++)
                v[r] = decode_neon_32(decode_neon_pair(decode_neon_wide(row[r] + at, BZ_DTYPE_Q4_K, B, 0),
                                                       decode_neon_wide(row[r] + at, BZ_DTYPE_Q4_K, B, 1)), in, 32 * g, 0);
            decode_neon_add(y, v, 0, decode_neon_times_unsigned(d, scale[B]), in->d[g]);
            const decode_neon_lanes m = decode_neon_times_unsigned(d_min, min[B]);
            y->v[0] = vfmsq_f32(y->v[0], m.v[0], vdupq_n_f32(in->total[g]));
            y->v[1] = vfmsq_f32(y->v[1], m.v[1], vdupq_n_f32(in->total[g]));
        }
    }
}

BZ_NEON_INLINE void decode_neon_q6_k_rows(decode_neon_lanes *y, const uint8_t *const row[8], const decode_neon_input *in,
                                          size_t ahead)
{
    for (size_t g0 = 0, at = 0; g0 < in->n_groups; g0 += 8, at += 210) {
        uint64_t packed[2][8];
        uint8x8_t scale[16];
        BZ_NEON_UNROLL for (int r = 0; r < 8; r++)
        {
            memcpy(&packed[0][r], row[r] + at + 192, 8);
            memcpy(&packed[1][r], row[r] + at + 200, 8);
            BZ_NEON_UNROLL for (size_t line = 0; line < 256; line += 64) __builtin_prefetch(row[r] + at + ahead + line);
        }
        decode_neon_transpose(scale, packed[0]);
        decode_neon_transpose(scale + 8, packed[1]);
        const decode_neon_lanes d = decode_neon_halves(row, at + 208);
        BZ_NEON_UNROLL for (size_t S = 0; S < 16; S++) /* halves of groups */
        {
            const size_t half = 2 * g0 + S;
            int32x4_t v[8];
            BZ_NEON_UNROLL for (int r = 0; r < 8; r++)
                v[r] = decode_neon_16(vreinterpretq_s8_u8(decode_neon_wide(row[r] + at, BZ_DTYPE_Q6_K, S / 2, S % 2)), in,
                                      16 * half, 0);
            decode_neon_add(y, v, in->off[half], decode_neon_times_signed(d, scale[S]), in->d[half / 2]);
        }
    }
}

/* ---- rows of a matrix --------------------------------------------------------------------------------------------------- */

/* Rows to multiply: n rows from `first` on, or the listed ones. y is indexed by the row's number. */
typedef struct decode_neon_job {
    float *y;
    const uint8_t *w; /* where the stretch of the position begins in row 0 */
    size_t row_size, first, n;
    const int32_t *list; /* NULL: all */
} decode_neon_job;

BZ_NEON_INLINE size_t decode_neon_number(const decode_neon_job *job, size_t i)
{
    return job->list ? (size_t)job->list[i] : job->first + i;
}

/* The eight rows from place i on; places past the end do the last one again. Returns how many there are. Asks for the
 * beginning of listed rows that come next. */
BZ_NEON_INLINE size_t decode_neon_choose(const uint8_t *row[DECODE_NEON_ROWS], const decode_neon_job *job, size_t i)
{
    const size_t left = job->n - i, rows = left < DECODE_NEON_ROWS ? left : DECODE_NEON_ROWS;
    for (size_t r = 0; r < DECODE_NEON_ROWS; r++) {
        row[r] = job->w + decode_neon_number(job, i + (r < rows ? r : rows - 1)) * job->row_size;
        if (job->list != NULL && r + DECODE_NEON_ROWS < left)
            __builtin_prefetch(job->w + decode_neon_number(job, i + DECODE_NEON_ROWS + r) * job->row_size);
    }
    return rows;
}

BZ_NEON_INLINE void decode_neon_rows(const decode_neon_job *job, const uint32_t dtype, const size_t size,
                                     const decode_neon_input *in)
{
    const size_t ahead = job->list ? 0 : DECODE_NEON_AHEAD * DECODE_NEON_ROWS * job->row_size;
    for (size_t i = 0; i < job->n; i += DECODE_NEON_ROWS) {
        const uint8_t *row[DECODE_NEON_ROWS];
        float y[DECODE_NEON_ROWS] = {0};
        const size_t rows = decode_neon_choose(row, job, i);
        for (size_t r = 0; in->add && r < rows; r++)
            y[r] = job->y[decode_neon_number(job, i + r)];
        decode_neon_lanes sum = {{vld1q_f32(y), vld1q_f32(y + 4)}};
        if (dtype == BZ_DTYPE_Q4_K)
            decode_neon_q4_k_rows(&sum, row, in, ahead);
        else if (dtype == BZ_DTYPE_Q6_K)
            decode_neon_q6_k_rows(&sum, row, in, ahead);
        else
            decode_neon_narrow_rows(&sum, row, dtype, size, in, ahead);
        vst1q_f32(y, sum.v[0]);
        vst1q_f32(y + 4, sum.v[1]);
        for (size_t r = 0; r < rows; r++)
            job->y[decode_neon_number(job, i + r)] = y[r];
    }
}

#define DECODE_NEON_COPY(name, dtype, size)                                                       \
    static void name(const decode_neon_job *job, decode_neon_input *in)                           \
    {                                                                                             \
        for (size_t e = 0; e < 32 * in->n_groups; e += 16)                                        \
            decode_neon_split(in, e, decode_neon_is_signed(dtype), decode_neon_offset(dtype));    \
        decode_neon_rows(job, dtype, size, in);                                                   \
    }

DECODE_NEON_COPY(decode_neon_q8_0, BZ_DTYPE_Q8_0, 34)
DECODE_NEON_COPY(decode_neon_q5_0, BZ_DTYPE_Q5_0, 22)
DECODE_NEON_COPY(decode_neon_q4_0, BZ_DTYPE_Q4_0, 18)
DECODE_NEON_COPY(decode_neon_iq4_nl, BZ_DTYPE_IQ4_NL, 18)
DECODE_NEON_COPY(decode_neon_q4_k, BZ_DTYPE_Q4_K, 0)
DECODE_NEON_COPY(decode_neon_q6_k, BZ_DTYPE_Q6_K, 0)

static int decode_neon_run(decode_neon_job *job, const void *w, uint32_t dtype, const void *x, size_t K)
{
    static void (*const kinds[BZ_DTYPE_LIMIT])(const decode_neon_job *, decode_neon_input *) = {
        [BZ_DTYPE_Q8_0] = decode_neon_q8_0,     [BZ_DTYPE_Q5_0] = decode_neon_q5_0, [BZ_DTYPE_Q4_0] = decode_neon_q4_0,
        [BZ_DTYPE_IQ4_NL] = decode_neon_iq4_nl, [BZ_DTYPE_Q4_K] = decode_neon_q4_k, [BZ_DTYPE_Q6_K] = decode_neon_q6_k,
    };
    decode_neon_input in;
    if (dtype >= BZ_DTYPE_LIMIT || kinds[dtype] == NULL)
        return 0;
    const size_t n_groups = K / BZ_QUANT_GROUP;
    job->row_size = bz_quant_row_size(dtype, K);
    for (size_t g = 0; g < n_groups && job->n > 0; g += in.n_groups) {
        const bz_activation_row row = bz_activation_row_at(x, 0, 0, K, g);
        in.n_groups = n_groups - g < DECODE_NEON_CHUNK / 32 ? n_groups - g : DECODE_NEON_CHUNK / 32;
        in.add = g > 0;
        in.q = row.q;
        in.d = row.d;
        in.total = row.total;
        job->w = (const uint8_t *)w + bz_quant_row_size(dtype, g * BZ_QUANT_GROUP);
        kinds[dtype](job, &in);
    }
    return 1;
}

#endif
