/* SPDX-License-Identifier: MIT */
/* AVX2 level: one position against many rows, unpacked in registers, for the types that models are mostly made of.
 * Invariant: the same operations on the same lanes in the same order as the tiles of kernel_avx2.c, so a position gives the
 * same bits here as in a prompt. It reads each weight once, in the order of memory,
 * two rows side by side: the sum of one is a chain of dependent adds that would leave the units idle. */
#include "compute/activation.h"
#include "compute/kernel_avx2.h"
#include "compute/quant.h"

#include <immintrin.h>
#include <string.h>

#define DECODE256_INLINE static inline __attribute__((always_inline))
#if defined(__clang__)
#define DECODE256_UNROLL _Pragma("clang loop unroll(full)")
#else
#define DECODE256_UNROLL _Pragma("GCC unroll 8")
#endif

enum { DECODE256_AHEAD = 8192, DECODE256_CHUNK = 64 }; /* bytes asked for ahead; groups a partial sum, as in the tiles */

DECODE256_INLINE __m256i decode256_bytes32(const uint8_t *p)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

DECODE256_INLINE uint16_t decode256_u16(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* Scales of up to 8 blocks of `size` bytes. */
DECODE256_INLINE __m256 decode256_scales(const uint8_t *p, size_t size, size_t n)
{
    if (n < 8) {
        uint16_t half[8] = {0};
        for (size_t i = 0; i < n; i++)
            half[i] = decode256_u16(p + i * size);
        return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)half));
    }
    __m128i v = _mm_cvtsi32_si128(decode256_u16(p));
    v = _mm_insert_epi16(v, decode256_u16(p + size), 1);
    v = _mm_insert_epi16(v, decode256_u16(p + 2 * size), 2);
    v = _mm_insert_epi16(v, decode256_u16(p + 3 * size), 3);
    v = _mm_insert_epi16(v, decode256_u16(p + 4 * size), 4);
    v = _mm_insert_epi16(v, decode256_u16(p + 5 * size), 5);
    v = _mm_insert_epi16(v, decode256_u16(p + 6 * size), 6);
    return _mm256_cvtph_ps(_mm_insert_epi16(v, decode256_u16(p + 7 * size), 7));
}

/* 16 bytes of nibbles: the low ones in the lower half. */
DECODE256_INLINE __m256i decode256_nibbles(const uint8_t *p)
{
    const __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
    const __m256i both = _mm256_inserti128_si256(_mm256_castsi128_si256(x), _mm_srli_epi16(x, 4), 1);
    return _mm256_and_si256(both, _mm256_set1_epi8(15));
}

/* 0xf0 where bit i of the four bytes at p is clear: over a nibble that makes nibble - 16 as a signed byte. */
DECODE256_INLINE __m256i decode256_clear_bits(const uint8_t *p)
{
    const __m256i spread = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const __m256i others = _mm256_set1_epi64x(0x7fbfdfeff7fbfdfe); /* all but the bit of the byte's place */
    uint32_t bits;
    memcpy(&bits, p, sizeof bits);
    const __m256i v = _mm256_or_si256(_mm256_shuffle_epi8(_mm256_set1_epi32((int)bits), spread), others);
    return _mm256_andnot_si256(_mm256_cmpeq_epi8(v, _mm256_set1_epi8(-1)), _mm256_set1_epi8((char)0xf0));
}

/* One group as 32 signed bytes. */
DECODE256_INLINE __m256i decode256_group(const uint8_t *p, const uint32_t dtype)
{
    if (dtype == BZ_DTYPE_Q5_0)
        return _mm256_or_si256(decode256_nibbles(p + 6), decode256_clear_bits(p + 2));
    if (dtype == BZ_DTYPE_Q4_0)
        return _mm256_sub_epi8(decode256_nibbles(p + 2), _mm256_set1_epi8(8));
    const __m128i table = _mm_loadu_si128((const __m128i *)(const void *)bz_quant_iq4_values);
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(table), decode256_nibbles(p + 2));
}

DECODE256_INLINE __m256 decode256_step(__m256 acc, __m256i low, __m256i high, const int16_t *q, const float *scale)
{
    const __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)q);
    const __m256i b = _mm256_loadu_si256((const __m256i *)(const void *)(q + 16));
    const __m256i sum = _mm256_add_epi32(_mm256_madd_epi16(low, a), _mm256_madd_epi16(high, b));
    return _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum), _mm256_broadcast_ss(scale), acc);
}

DECODE256_INLINE __m256 decode256_step_bytes(__m256 acc, __m256i bytes, const int16_t *q, const float *scale)
{
    return decode256_step(acc, _mm256_cvtepi8_epi16(_mm256_castsi256_si128(bytes)),
                          _mm256_cvtepi8_epi16(_mm256_extracti128_si256(bytes, 1)), q, scale);
}

/* One group of Q8_0 or of a type with nibbles against the same group of the position. */
DECODE256_INLINE __m256 decode256_narrow_step(__m256 acc, const uint8_t *p, const uint32_t dtype, const int16_t *q,
                                           const float *scale)
{
    if (dtype != BZ_DTYPE_Q8_0)
        return decode256_step_bytes(acc, decode256_group(p, dtype), q, scale);
    const __m128i low = _mm_loadu_si128((const __m128i *)(const void *)(p + 2));
    const __m128i high = _mm_loadu_si128((const __m128i *)(const void *)(p + 18));
    return decode256_step(acc, _mm256_cvtepi8_epi16(low), _mm256_cvtepi8_epi16(high), q, scale);
}

/* Up to DECODE256_CHUNK groups of rows of a type with blocks of 32 and no minimum. */
DECODE256_INLINE void decode256_narrow(__m256 *acc, const uint8_t *p, size_t row_size, const int rows, const uint32_t dtype,
                                    const size_t size, bz_activation_row x, size_t n)
{
    _Alignas(32) float s[2][8];
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    for (size_t g0 = 0; g0 < n; g0 += 8) {
        const size_t left = n - g0 < 8 ? n - g0 : 8;
        const __m256 d = _mm256_maskload_ps(x.d + g0, _mm256_cmpgt_epi32(_mm256_set1_epi32((int)left), lane));
        DECODE256_UNROLL for (int r = 0; r < rows; r++)
            _mm256_store_ps(s[r], _mm256_mul_ps(d, decode256_scales(p + (size_t)r * row_size, size, left)));
        for (size_t g = 0; g < left; g++, p += size) {
            const int16_t *q = x.q + (g0 + g) * 32;
            DECODE256_UNROLL for (int r = 0; r < rows; r++)
            {
                const uint8_t *block = p + (size_t)r * row_size;
                _mm_prefetch((const char *)block + DECODE256_AHEAD, _MM_HINT_T0);
                acc[r] = decode256_narrow_step(acc[r], block, dtype, q, s[r] + g);
            }
        }
    }
}

DECODE256_INLINE void decode256_q4_k(__m256 *acc, const uint8_t *p, size_t row_size, const int rows, bz_activation_row x, size_t n)
{
    _Alignas(32) float d[8], s[2][8], m[2][DECODE256_CHUNK * 2];
    const __m256i mask = _mm256_set1_epi8(15);
    for (size_t g0 = 0; g0 < n; g0 += 8, p += 144) {
        const __m256 scale = _mm256_loadu_ps(x.d + g0);
        DECODE256_UNROLL for (int r = 0; r < rows; r++)
        {
            const uint8_t *block = p + (size_t)r * row_size;
            _mm_prefetch((const char *)block + DECODE256_AHEAD, _MM_HINT_T0);
            _mm_prefetch((const char *)block + DECODE256_AHEAD + 64, _MM_HINT_T0);
            _mm_prefetch((const char *)block + DECODE256_AHEAD + 128, _MM_HINT_T0);
            bz_avx2_scales_k4(d, m[r] + 2 * g0, block);
            _mm256_store_ps(s[r], _mm256_mul_ps(scale, _mm256_load_ps(d)));
        }
        for (size_t pair = 0; pair < 4; pair++) {
            const int16_t *q = x.q + (g0 + 2 * pair) * 32;
            DECODE256_UNROLL for (int r = 0; r < rows; r++)
            {
                const __m256i w = decode256_bytes32(p + (size_t)r * row_size + 16 + 32 * pair);
                const __m256i low = _mm256_and_si256(w, mask), high = _mm256_and_si256(_mm256_srli_epi16(w, 4), mask);
                acc[r] = decode256_step_bytes(acc[r], low, q, s[r] + 2 * pair);
                acc[r] = decode256_step_bytes(acc[r], high, q + 32, s[r] + 2 * pair + 1);
            }
        }
    }
    for (size_t i = 0; i < 2 * n; i += 8)
        DECODE256_UNROLL for (int r = 0; r < rows; r++) acc[r] =
            _mm256_fnmadd_ps(_mm256_loadu_ps(m[r] + i), _mm256_loadu_ps(x.sum + i), acc[r]);
}

/* Group B of a Q6_K block as signed bytes, without the scales. */
DECODE256_INLINE __m256i decode256_q6_group(const uint8_t *p, const int B)
{
    const __m256i mask = _mm256_set1_epi8(15), top = _mm256_set1_epi8(0x30), middle = _mm256_set1_epi8(32);
    const int H = B >> 2, J = B & 3;
    const __m256i low = decode256_bytes32(p + 64 * H + 32 * (J & 1)), high = decode256_bytes32(p + 128 + 32 * H);
    const __m256i n = _mm256_and_si256(J < 2 ? low : _mm256_srli_epi16(low, 4), mask);
    const __m256i two = J == 0   ? _mm256_slli_epi16(high, 4)
                        : J == 1 ? _mm256_slli_epi16(high, 2)
                        : J == 2 ? high
                                 : _mm256_srli_epi16(high, 2);
    return _mm256_sub_epi8(_mm256_or_si256(n, _mm256_and_si256(two, top)), middle);
}

DECODE256_INLINE void decode256_q6_k(__m256 *acc, const uint8_t *p, size_t row_size, const int rows, bz_activation_row x, size_t n)
{
    _Alignas(32) float s[2][8];
    for (size_t g0 = 0; g0 < n; g0 += 8, p += 210) {
        DECODE256_UNROLL for (int r = 0; r < rows; r++)
        {
            const uint8_t *block = p + (size_t)r * row_size;
            const __m256 d = _mm256_set1_ps(_cvtsh_ss(decode256_u16(block + 208)));
            for (size_t line = 0; line < 256; line += 64)
                _mm_prefetch((const char *)block + DECODE256_AHEAD + line, _MM_HINT_T0);
            _mm256_store_ps(s[r], _mm256_mul_ps(_mm256_loadu_ps(x.d + g0), d));
        }
        DECODE256_UNROLL for (int B = 0; B < 8; B++)
        {
            const int16_t *q = x.q + (g0 + (size_t)B) * 32;
            DECODE256_UNROLL for (int r = 0; r < rows; r++)
            {
                const uint8_t *block = p + (size_t)r * row_size;
                const __m256i w = decode256_q6_group(block, B);
                const __m256i s0 = _mm256_set1_epi16((int8_t)block[192 + 2 * B]);
                const __m256i s1 = _mm256_set1_epi16((int8_t)block[193 + 2 * B]);
                const __m256i low = _mm256_mullo_epi16(_mm256_cvtepi8_epi16(_mm256_castsi256_si128(w)), s0);
                const __m256i high = _mm256_mullo_epi16(_mm256_cvtepi8_epi16(_mm256_extracti128_si256(w, 1)), s1);
                acc[r] = decode256_step(acc[r], low, high, q, s[r] + B);
            }
        }
    }
}

DECODE256_INLINE float decode256_sum(__m256 v)
{
    const __m128 b = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    const __m128 c = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(c, _mm_shuffle_ps(c, c, 1)));
}

/* Bytes of a number of groups, a constant each for the types of this file. */
DECODE256_INLINE size_t decode256_bytes(const uint32_t dtype, size_t n_groups)
{
    return dtype == BZ_DTYPE_Q4_K   ? n_groups / 8 * 144
           : dtype == BZ_DTYPE_Q6_K ? n_groups / 8 * 210
           : dtype == BZ_DTYPE_Q8_0 ? n_groups * 34
           : dtype == BZ_DTYPE_Q5_0 ? n_groups * 22
                                    : n_groups * 18;
}

/* `rows` rows, the first at p. */
DECODE256_INLINE void decode256_side_by_side(float *y, const uint8_t *p, const uint32_t dtype, const int rows, const void *x, size_t K)
{
    const size_t n_groups = K / 32, row_size = decode256_bytes(dtype, n_groups);
    for (size_t g = 0; g < n_groups; g += DECODE256_CHUNK, p += decode256_bytes(dtype, DECODE256_CHUNK)) {
        const size_t step = n_groups - g < DECODE256_CHUNK ? n_groups - g : DECODE256_CHUNK;
        const bz_activation_row a = bz_activation_row_at(x, 0, 0, K, g);
        __m256 acc[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
        if (dtype == BZ_DTYPE_Q4_K)
            decode256_q4_k(acc, p, row_size, rows, a, step);
        else if (dtype == BZ_DTYPE_Q6_K)
            decode256_q6_k(acc, p, row_size, rows, a, step);
        else
            decode256_narrow(acc, p, row_size, rows, dtype, decode256_bytes(dtype, 1), a, step);
        DECODE256_UNROLL for (int r = 0; r < rows; r++)
        {
            const float part = decode256_sum(acc[r]);
            y[r] = g ? y[r] + part : part;
        }
    }
}

DECODE256_INLINE void decode256_rows(float *y, const uint8_t *w, const uint32_t dtype, size_t n_begin, size_t n_end, const void *x,
                              size_t K)
{
    const size_t row_size = decode256_bytes(dtype, K / 32);
    size_t n = n_begin;
    for (; n + 2 <= n_end; n += 2)
        decode256_side_by_side(y + n, w + n * row_size, dtype, 2, x, K);
    if (n < n_end)
        decode256_side_by_side(y + n, w + n * row_size, dtype, 1, x, K);
}

int bz_avx2_decode(float *y, const void *w, uint32_t dtype, size_t n_begin, size_t n_end, const void *x, size_t K)
{
    switch (dtype) {
    case BZ_DTYPE_Q8_0:
        decode256_rows(y, w, BZ_DTYPE_Q8_0, n_begin, n_end, x, K);
        return 1;
    case BZ_DTYPE_Q5_0:
        decode256_rows(y, w, BZ_DTYPE_Q5_0, n_begin, n_end, x, K);
        return 1;
    case BZ_DTYPE_Q4_0:
        decode256_rows(y, w, BZ_DTYPE_Q4_0, n_begin, n_end, x, K);
        return 1;
    case BZ_DTYPE_IQ4_NL:
        decode256_rows(y, w, BZ_DTYPE_IQ4_NL, n_begin, n_end, x, K);
        return 1;
    case BZ_DTYPE_Q4_K:
        decode256_rows(y, w, BZ_DTYPE_Q4_K, n_begin, n_end, x, K);
        return 1;
    case BZ_DTYPE_Q6_K:
        decode256_rows(y, w, BZ_DTYPE_Q6_K, n_begin, n_end, x, K);
        return 1;
    default:
        return 0;
    }
}
