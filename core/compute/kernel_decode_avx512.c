/* SPDX-License-Identifier: MIT */
/* AVX-512 level: one position against many rows, straight from the blocks, for the types that models are mostly made of.
 * Sixteen rows go side by side. A vector holds 16 bytes of each of four rows, or 64 bytes of one; its sums of four products
 * are added up by a tree of integer adds that leaves one row a lane, so the float part is the one of compute/activation.h
 * with rows as lanes, and its bits.
 * The position's 16 bits are a signed high and an unsigned low byte. vpdpbusd takes weights below 128 as either kind, so it
 * multiplies both; high * 256 + low is exact.
 * Rows are asked for ahead as the one stream that they are in memory, into the second cache level.
 * Does not: multiply listed rows or other types. kernel_decode_avx2 does, also Q8_0, which is as fast as memory there. */
#include "compute/activation.h"
#include "compute/kernel_avx512.h"
#include "compute/quant.h"

#include <immintrin.h>
#include <string.h>

#define DECODE512_INLINE static inline __attribute__((always_inline))
#if defined(__clang__)
#define DECODE512_UNROLL _Pragma("clang loop unroll(full)")
#else
#define DECODE512_UNROLL _Pragma("GCC unroll 16")
#endif

enum {
    DECODE512_ROWS = 16,
    DECODE512_CHUNK = 4096,
    DECODE512_AHEAD = 49152 /* bytes asked for ahead */
};

/* A stretch of the position. */
typedef struct decode512_input {
    _Alignas(64) uint8_t low[DECODE512_CHUNK];
    _Alignas(64) int8_t high[DECODE512_CHUNK];
    int32_t sum[DECODE512_CHUNK / 16]; /* of half a group */
    const float *d, *total;
    size_t n_groups;
} decode512_input;

DECODE512_INLINE __m128i decode512_load128(const void *p)
{
    return _mm_loadu_si128((const __m128i *)p);
}

DECODE512_INLINE __m256i decode512_load256(const void *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

static void decode512_prepare(decode512_input *in, bz_activation_row x, size_t n_groups)
{
    in->d = x.d;
    in->total = x.total;
    in->n_groups = n_groups;
    for (size_t h = 0; h < 2 * n_groups; h++) {
        const __m256i q = decode512_load256(x.q + 16 * h);
        _mm_store_si128((__m128i *)(void *)(in->low + 16 * h), _mm256_cvtepi16_epi8(q));
        _mm_store_si128((__m128i *)(void *)(in->high + 16 * h), _mm256_cvtepi16_epi8(_mm256_srai_epi16(q, 8)));
        in->sum[h] = _mm512_reduce_add_epi32(_mm512_cvtepi16_epi32(q));
    }
}

/* ---- sums of four products ---------------------------------------------------------------------------------------------- */

/* Bytes of weights below 128 with those of the position. */
DECODE512_INLINE __m512i decode512_products(__m512i w, __m512i low, __m512i high)
{
    return _mm512_dpbusd_epi32(_mm512_slli_epi32(_mm512_dpbusd_epi32(_mm512_setzero_si512(), w, high), 8), low, w);
}

/* 16 bytes at p of rows r, r + 4, r + 8 and r + 12. */
DECODE512_INLINE __m512i decode512_four_rows(const uint8_t *const row[DECODE512_ROWS], int r, size_t at)
{
    __m512i v = _mm512_castsi128_si512(decode512_load128(row[r] + at));
    v = _mm512_inserti32x4(v, decode512_load128(row[r + 4] + at), 1);
    v = _mm512_inserti32x4(v, decode512_load128(row[r + 8] + at), 2);
    return _mm512_inserti32x4(v, decode512_load128(row[r + 12] + at), 3);
}

/* Two neighbours in a tree: in every 128 bits the sums a0+a2, b0+b2, a1+a3, b1+b3. */
DECODE512_INLINE __m512i decode512_join32(__m512i a, __m512i b)
{
    return _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
}

/* In every 128 bits the sum of v[0]'s four, of v[1]'s, v[2]'s and v[3]'s. */
DECODE512_INLINE __m512i decode512_join(const __m512i v[4])
{
    const __m512i a = decode512_join32(v[0], v[1]), b = decode512_join32(v[2], v[3]);
    return _mm512_add_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
}

/* u[i] has of rows 4i..4i+3 one of four parts in each 128 bits: out[p] gets part p of all rows. */
DECODE512_INLINE void decode512_parts(__m512i out[4], const __m512i u[4])
{
    const __m512i a = _mm512_shuffle_i32x4(u[0], u[1], 0x88), b = _mm512_shuffle_i32x4(u[2], u[3], 0x88);
    const __m512i c = _mm512_shuffle_i32x4(u[0], u[1], 0xdd), d = _mm512_shuffle_i32x4(u[2], u[3], 0xdd);
    out[0] = _mm512_shuffle_i32x4(a, b, 0x88);
    out[1] = _mm512_shuffle_i32x4(c, d, 0x88);
    out[2] = _mm512_shuffle_i32x4(a, b, 0xdd);
    out[3] = _mm512_shuffle_i32x4(c, d, 0xdd);
}

/* Word i of the 16 bytes at `at`, all rows. */
DECODE512_INLINE void decode512_words(__m512i out[4], const uint8_t *const row[DECODE512_ROWS], size_t at)
{
    __m512i v[4];
    DECODE512_UNROLL for (int r = 0; r < 4; r++) v[r] = decode512_four_rows(row, r, at);
    const __m512i a = _mm512_unpacklo_epi32(v[0], v[1]), b = _mm512_unpacklo_epi32(v[2], v[3]);
    const __m512i c = _mm512_unpackhi_epi32(v[0], v[1]), d = _mm512_unpackhi_epi32(v[2], v[3]);
    out[0] = _mm512_unpacklo_epi64(a, b);
    out[1] = _mm512_unpackhi_epi64(a, b);
    out[2] = _mm512_unpacklo_epi64(c, d);
    out[3] = _mm512_unpackhi_epi64(c, d);
}

/* The half float in the lower 16 bits of each lane. */
DECODE512_INLINE __m512 decode512_half(__m512i v)
{
    return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(v));
}

DECODE512_INLINE __m512 decode512_add(__m512 y, __m512i sum, __m512 scale, float d)
{
    return _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), _mm512_mul_ps(scale, _mm512_set1_ps(d)), y);
}

/* Asks for what comes later than n bytes of the stream. */
DECODE512_INLINE void decode512_ahead(const uint8_t *stream, size_t n)
{
    for (size_t i = 0; i < n; i += 64)
        _mm_prefetch((const char *)stream + DECODE512_AHEAD + i, _MM_HINT_T1);
}

/* ---- blocks of 32 ------------------------------------------------------------------------------------------------------- */

DECODE512_INLINE __m512i decode512_four_times(const void *p)
{
    return _mm512_broadcast_i32x4(decode512_load128(p));
}

/* begin, v: the first 16 bytes of a block of each of four rows, and its nibbles. */
DECODE512_INLINE __m512i decode512_q5_0(__m512i begin, __m512i v, const __m512i low[2], const __m512i high[2])
{
    const __m512i first = _mm512_broadcast_i32x4(_mm_setr_epi8(2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3));
    const __m512i second = _mm512_broadcast_i32x4(_mm_setr_epi8(4, 4, 4, 4, 4, 4, 4, 4, 5, 5, 5, 5, 5, 5, 5, 5));
    const __m512i bits = _mm512_set1_epi64((long long)0x8040201008040201), nibble = _mm512_set1_epi8(15);
    const __m512i sixteen = _mm512_set1_epi8(16);
    __m512i a = _mm512_and_si512(v, nibble), b = _mm512_and_si512(_mm512_srli_epi16(v, 4), nibble);
    a = _mm512_mask_add_epi8(a, _mm512_test_epi8_mask(_mm512_shuffle_epi8(begin, first), bits), a, sixteen);
    b = _mm512_mask_add_epi8(b, _mm512_test_epi8_mask(_mm512_shuffle_epi8(begin, second), bits), b, sixteen);
    __m512i sum = _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(_mm512_setzero_si512(), a, high[0]), b, high[1]);
    sum = _mm512_slli_epi32(sum, 8);
    return _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(sum, low[0], a), low[1], b);
}

static __m512 decode512_q5_0_rows(__m512 y, const uint8_t *const row[DECODE512_ROWS], const decode512_input *in,
                                  const uint8_t *stream)
{
    for (size_t g = 0, at = 0; g < in->n_groups; g++, at += 22) {
        const __m512i low[2] = {decode512_four_times(in->low + 32 * g), decode512_four_times(in->low + 32 * g + 16)};
        const __m512i high[2] = {decode512_four_times(in->high + 32 * g), decode512_four_times(in->high + 32 * g + 16)};
        __m512i begin[4], v[4];
        decode512_ahead(stream + at * DECODE512_ROWS, (size_t)22 * DECODE512_ROWS);
        DECODE512_UNROLL for (int r = 0; r < 4; r++)
        {
            begin[r] = decode512_four_rows(row, r, at);
            v[r] = decode512_q5_0(begin[r], decode512_four_rows(row, r, at + 6), low, high);
        }
        const __m512i a = _mm512_unpacklo_epi32(begin[0], begin[1]), b = _mm512_unpacklo_epi32(begin[2], begin[3]);
        const __m512i offset = _mm512_set1_epi32(16 * (in->sum[2 * g] + in->sum[2 * g + 1]));
        y = decode512_add(y, _mm512_sub_epi32(decode512_join(v), offset), decode512_half(_mm512_unpacklo_epi64(a, b)),
                          in->d[g]);
    }
    return y;
}

/* ---- blocks of 256 ------------------------------------------------------------------------------------------------------ */

/* Byte i of each lane. */
DECODE512_INLINE __m512 decode512_unsigned8(__m512i v, const unsigned i)
{
    return _mm512_cvtepi32_ps(_mm512_and_si512(_mm512_srli_epi32(v, 8 * i), _mm512_set1_epi32(255)));
}

DECODE512_INLINE __m512 decode512_signed8(__m512i v, const unsigned i)
{
    return _mm512_cvtepi32_ps(_mm512_srai_epi32(_mm512_slli_epi32(v, 24 - 8 * i), 24));
}

/* Groups g and g + step of the position. */
DECODE512_INLINE __m512i decode512_two_groups(const void *position, size_t g, size_t step)
{
    const uint8_t *p = position;
    return _mm512_inserti64x4(_mm512_castsi256_si512(decode512_load256(p + 32 * g)), decode512_load256(p + 32 * (g + step)), 1);
}

/* The scales and minima, 6 bits each, of groups 0-3 and 4-7 of a block, from its words 1 to 3. */
DECODE512_INLINE void decode512_q4_k_scales(__m512i scale[2], __m512i min[2], const __m512i head[4])
{
    const __m512i six = _mm512_set1_epi32(0x3f3f3f3f), four = _mm512_set1_epi32(0x0f0f0f0f), two = _mm512_set1_epi32(0x30303030);
    const __m512i a = head[1], b = head[2], c = head[3];
    scale[0] = _mm512_and_si512(a, six);
    min[0] = _mm512_and_si512(b, six);
    scale[1] = _mm512_or_si512(_mm512_and_si512(c, four), _mm512_and_si512(_mm512_srli_epi32(a, 2), two));
    min[1] = _mm512_or_si512(_mm512_and_si512(_mm512_srli_epi32(c, 4), four), _mm512_and_si512(_mm512_srli_epi32(b, 2), two));
}

/* Sums of groups g .. g + 3 of the position with 64 bytes of nibbles at `at`. */
DECODE512_INLINE void decode512_q4_k_sums(__m512i sum[4], const uint8_t *const row[DECODE512_ROWS], size_t at,
                                          const decode512_input *in, size_t g)
{
    const __m512i nibble = _mm512_set1_epi8(15);
    DECODE512_UNROLL for (int odd = 0; odd < 2; odd++)
    {
        const __m512i low = decode512_two_groups(in->low, g + (size_t)odd, 2);
        const __m512i high = decode512_two_groups(in->high, g + (size_t)odd, 2);
        __m512i u[4], part[4];
        DECODE512_UNROLL for (int i = 0; i < 4; i++)
        {
            __m512i v[4];
            DECODE512_UNROLL for (int r = 0; r < 4; r++)
            {
                const __m512i w = _mm512_loadu_si512(row[4 * i + r] + at);
                v[r] = decode512_products(_mm512_and_si512(odd ? _mm512_srli_epi16(w, 4) : w, nibble), low, high);
            }
            u[i] = decode512_join(v);
        }
        decode512_parts(part, u);
        sum[odd] = _mm512_add_epi32(part[0], part[1]);
        sum[2 + odd] = _mm512_add_epi32(part[2], part[3]);
    }
}

static __m512 decode512_q4_k_rows(__m512 y, const uint8_t *const row[DECODE512_ROWS], const decode512_input *in,
                                  const uint8_t *stream)
{
    for (size_t g = 0, at = 0; g < in->n_groups; g += 8, at += 144) {
        __m512i head[4], scale[2], min[2];
        decode512_words(head, row, at);
        decode512_q4_k_scales(scale, min, head);
        const __m512 d = decode512_half(head[0]), d_min = decode512_half(_mm512_srli_epi32(head[0], 16));
        DECODE512_UNROLL for (size_t h = 0; h < 2; h++)
        {
            __m512i sum[4];
            decode512_ahead(stream + at * DECODE512_ROWS + h * 72 * DECODE512_ROWS, (size_t)72 * DECODE512_ROWS);
            decode512_q4_k_sums(sum, row, at + 16 + 64 * h, in, g + 4 * h);
            DECODE512_UNROLL for (unsigned i = 0; i < 4; i++)
            {
                const size_t group = g + 4 * h + i;
                y = decode512_add(y, sum[i], _mm512_mul_ps(d, decode512_unsigned8(scale[h], i)), in->d[group]);
                y = _mm512_fnmadd_ps(_mm512_mul_ps(d_min, decode512_unsigned8(min[h], i)), _mm512_set1_ps(in->total[group]), y);
            }
        }
    }
    return y;
}

/* Sums of the halves of groups g and g + 1 of the position: lower (J 0) or upper nibbles (J 2) of 64 bytes at low, and two bits
 * of 32 at high. */
DECODE512_INLINE void decode512_q6_k_sums(__m512i sum[4], const uint8_t *const row[DECODE512_ROWS], size_t at_low,
                                          size_t at_high, const int J, const decode512_input *in, size_t g)
{
    const __m512i nibble = _mm512_set1_epi8(15), mask = _mm512_set1_epi8(0x30);
    const __m512i left = _mm512_inserti64x4(_mm512_set1_epi16(4), _mm256_set1_epi16(2), 1);
    const __m512i right = _mm512_inserti64x4(_mm512_setzero_si512(), _mm256_set1_epi16(2), 1);
    const __m512i low = _mm512_loadu_si512(in->low + 32 * g), high = _mm512_loadu_si512(in->high + 32 * g);
    __m512i u[4];
    DECODE512_UNROLL for (int i = 0; i < 4; i++)
    {
        __m512i v[4];
        DECODE512_UNROLL for (int r = 0; r < 4; r++)
        {
            const __m512i n = _mm512_loadu_si512(row[4 * i + r] + at_low);
            const __m512i two = _mm512_broadcast_i64x4(decode512_load256(row[4 * i + r] + at_high));
            const __m512i four = _mm512_and_si512(J == 0 ? n : _mm512_srli_epi16(n, 4), nibble);
            const __m512i above = J == 0 ? _mm512_sllv_epi16(two, left) : _mm512_srlv_epi16(two, right);
            v[r] = decode512_products(_mm512_ternarylogic_epi32(four, above, mask, 0xf8), low, high); /* four | (above & mask) */
        }
        u[i] = decode512_join(v);
    }
    decode512_parts(sum, u);
}

static __m512 decode512_q6_k_rows(__m512 y, const uint8_t *const row[DECODE512_ROWS], const decode512_input *in,
                                  const uint8_t *stream)
{
    for (size_t g = 0, at = 0; g < in->n_groups; g += 8, at += 210) {
        __m512i scale[4], tail[4];
        decode512_words(scale, row, at + 192);
        decode512_words(tail, row, at + 194);
        const __m512 d = decode512_half(_mm512_srli_epi32(tail[3], 16));
        for (size_t h = 0; h < 4; h++) {
            const size_t H = h / 2, group = g + 2 * h;
            __m512i sum[4];
            decode512_ahead(stream + at * DECODE512_ROWS + h * 840, 840);
            if (h % 2 == 0)
                decode512_q6_k_sums(sum, row, at + 64 * H, at + 128 + 32 * H, 0, in, group);
            else
                decode512_q6_k_sums(sum, row, at + 64 * H, at + 128 + 32 * H, 2, in, group);
            DECODE512_UNROLL for (unsigned i = 0; i < 4; i++)
            {
                const __m512i offset = _mm512_set1_epi32(32 * in->sum[2 * group + i]);
                y = decode512_add(y, _mm512_sub_epi32(sum[i], offset), _mm512_mul_ps(d, decode512_signed8(scale[h], i)),
                                  in->d[group + i / 2]);
            }
        }
    }
    return y;
}

/* ---- all rows ----------------------------------------------------------------------------------------------------------- */

/* y plus the products of 16 rows. stream: the first row's first byte. */
typedef __m512 (*decode512_kind)(__m512 y, const uint8_t *const row[DECODE512_ROWS], const decode512_input *in,
                                 const uint8_t *stream);

static const decode512_kind decode512_kinds[BZ_DTYPE_LIMIT] = {
    [BZ_DTYPE_Q5_0] = decode512_q5_0_rows,
    [BZ_DTYPE_Q4_K] = decode512_q4_k_rows,
    [BZ_DTYPE_Q6_K] = decode512_q6_k_rows,
};

int bz_avx512_decode(float *y, const void *w, uint32_t dtype, size_t n_begin, size_t n_end, const void *x, size_t K)
{
    decode512_input in;
    if (dtype >= BZ_DTYPE_LIMIT || decode512_kinds[dtype] == NULL)
        return 0;
    const size_t row_size = bz_quant_row_size(dtype, K), n_groups = K / BZ_QUANT_GROUP;
    for (size_t g = 0, step; g < n_groups && n_begin < n_end; g += step) {
        step = n_groups - g < DECODE512_CHUNK / 32 ? n_groups - g : DECODE512_CHUNK / 32;
        decode512_prepare(&in, bz_activation_row_at(x, 0, 0, K, g), step);
        const uint8_t *first = (const uint8_t *)w + bz_quant_row_size(dtype, g * BZ_QUANT_GROUP);
        for (size_t n = n_begin; n < n_end; n += DECODE512_ROWS) {
            const size_t rows = n_end - n < DECODE512_ROWS ? n_end - n : DECODE512_ROWS;
            const __mmask16 own = (__mmask16)(0xFFFFU >> (DECODE512_ROWS - rows));
            const uint8_t *row[DECODE512_ROWS];
            for (size_t r = 0; r < DECODE512_ROWS; r++) /* past the end the last one again */
                row[r] = first + (n + (r < rows ? r : rows - 1)) * row_size;
            const __m512 sum = g > 0 ? _mm512_maskz_loadu_ps(own, y + n) : _mm512_setzero_ps();
            _mm512_mask_storeu_ps(y + n, own, decode512_kinds[dtype](sum, row, &in, row[0]));
        }
    }
    return 1;
}
