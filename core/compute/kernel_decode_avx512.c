/* SPDX-License-Identifier: MIT */
/* AVX-512 level: one position against many rows, unpacked in registers, for the types that models are mostly made of.
 * Invariant: the same operations on the same lanes in the same order as the tiles of kernel_avx512.c, so a position gives the
 * same bits here as in a prompt. It reads each weight once, in the order of memory,
 * two rows side by side: the sum of one is a chain of dependent adds that would leave the units idle. */
#include "compute/kernel_avx2.h"
#include "compute/kernel_avx512.h"
#include "compute/quant.h"

#include <immintrin.h>
#include <string.h>

#define DECODE512_INLINE static inline __attribute__((always_inline))
#if defined(__clang__)
#define DECODE512_UNROLL _Pragma("clang loop unroll(full)")
#else
#define DECODE512_UNROLL _Pragma("GCC unroll 8")
#endif

enum { DECODE512_AHEAD = 8192, DECODE512_CHUNK = 64 }; /* bytes asked for ahead; groups a partial sum, as in the tiles */

DECODE512_INLINE __m256i decode512_bytes32(const uint8_t *p)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

DECODE512_INLINE uint16_t decode512_u16(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

DECODE512_INLINE __m128i decode512_eight_halves(const uint8_t *p, size_t size)
{
    __m128i v = _mm_cvtsi32_si128(decode512_u16(p));
    v = _mm_insert_epi16(v, decode512_u16(p + size), 1);
    v = _mm_insert_epi16(v, decode512_u16(p + 2 * size), 2);
    v = _mm_insert_epi16(v, decode512_u16(p + 3 * size), 3);
    v = _mm_insert_epi16(v, decode512_u16(p + 4 * size), 4);
    v = _mm_insert_epi16(v, decode512_u16(p + 5 * size), 5);
    v = _mm_insert_epi16(v, decode512_u16(p + 6 * size), 6);
    return _mm_insert_epi16(v, decode512_u16(p + 7 * size), 7);
}

/* Scales of up to 16 blocks of `size` bytes. */
DECODE512_INLINE __m512 decode512_scales(const uint8_t *p, size_t size, size_t n)
{
    if (n >= 16) {
        const __m128i low = decode512_eight_halves(p, size), high = decode512_eight_halves(p + 8 * size, size);
        return _mm512_cvtph_ps(_mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1));
    }
    uint16_t half[16] = {0};
    for (size_t i = 0; i < n; i++)
        half[i] = decode512_u16(p + i * size);
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)half));
}

/* 16 bytes of nibbles: the low ones in the lower half. */
DECODE512_INLINE __m256i decode512_nibbles(const uint8_t *p)
{
    const __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
    const __m256i both = _mm256_inserti128_si256(_mm256_castsi128_si256(x), _mm_srli_epi16(x, 4), 1);
    return _mm256_and_si256(both, _mm256_set1_epi8(15));
}

DECODE512_INLINE __m512i decode512_group(const uint8_t *p, const uint32_t dtype)
{
    if (dtype == BZ_DTYPE_Q8_0)
        return _mm512_cvtepi8_epi16(decode512_bytes32(p + 2));
    if (dtype == BZ_DTYPE_Q5_0) {
        uint32_t high;
        memcpy(&high, p + 2, sizeof high);
        const __m256i q = decode512_nibbles(p + 6); /* less 16 where the fifth bit is clear */
        return _mm512_cvtepi8_epi16(_mm256_mask_sub_epi8(q, (__mmask32)~high, q, _mm256_set1_epi8(16)));
    }
    if (dtype == BZ_DTYPE_Q4_0)
        return _mm512_cvtepi8_epi16(_mm256_sub_epi8(decode512_nibbles(p + 2), _mm256_set1_epi8(8)));
    const __m128i table = _mm_loadu_si128((const __m128i *)(const void *)bz_quant_iq4_values);
    return _mm512_cvtepi8_epi16(_mm256_shuffle_epi8(_mm256_broadcastsi128_si256(table), decode512_nibbles(p + 2)));
}

DECODE512_INLINE __m512 decode512_step(__m512 acc, __m512i w, const int16_t *q, const float *scale)
{
    return _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_madd_epi16(w, _mm512_loadu_si512(q))), _mm512_set1_ps(*scale), acc);
}

/* Up to DECODE512_CHUNK groups of rows of a type with blocks of 32 and no minimum. */
DECODE512_INLINE void decode512_narrow(__m512 *acc, const uint8_t *p, size_t row_size, const int rows, const uint32_t dtype,
                                    const size_t size, bz_activation_row x, size_t n)
{
    _Alignas(64) float s[2][16];
    for (size_t g0 = 0; g0 < n; g0 += 16) {
        const size_t left = n - g0 < 16 ? n - g0 : 16;
        const __m512 d = _mm512_maskz_loadu_ps((__mmask16)((1u << left) - 1u), x.d + g0);
        DECODE512_UNROLL for (int r = 0; r < rows; r++)
            _mm512_store_ps(s[r], _mm512_mul_ps(d, decode512_scales(p + (size_t)r * row_size, size, left)));
        for (size_t g = 0; g < left; g++, p += size) {
            const int16_t *q = x.q + (g0 + g) * 32;
            DECODE512_UNROLL for (int r = 0; r < rows; r++)
            {
                const uint8_t *block = p + (size_t)r * row_size;
                _mm_prefetch((const char *)block + DECODE512_AHEAD, _MM_HINT_T0);
                acc[r] = decode512_step(acc[r], decode512_group(block, dtype), q, s[r] + g);
            }
        }
    }
}

DECODE512_INLINE __m512i decode512_widen(__m256i bytes, const int is_signed)
{
    return is_signed ? _mm512_cvtepi8_epi16(bytes) : _mm512_cvtepu8_epi16(bytes);
}

DECODE512_INLINE void decode512_q4_k(__m512 *acc, const uint8_t *p, size_t row_size, const int rows, bz_activation_row x, size_t n)
{
    _Alignas(64) float d[8], s[2][8], m[2][DECODE512_CHUNK * 2];
    const __m256i mask = _mm256_set1_epi8(15);
    for (size_t g0 = 0; g0 < n; g0 += 8, p += 144) {
        const __m256 scale = _mm256_loadu_ps(x.d + g0);
        DECODE512_UNROLL for (int r = 0; r < rows; r++)
        {
            const uint8_t *block = p + (size_t)r * row_size;
            _mm_prefetch((const char *)block + DECODE512_AHEAD, _MM_HINT_T0);
            _mm_prefetch((const char *)block + DECODE512_AHEAD + 64, _MM_HINT_T0);
            _mm_prefetch((const char *)block + DECODE512_AHEAD + 128, _MM_HINT_T0);
            bz_avx2_scales_k4(d, m[r] + 2 * g0, block);
            _mm256_store_ps(s[r], _mm256_mul_ps(scale, _mm256_load_ps(d)));
        }
        for (size_t pair = 0; pair < 4; pair++) {
            const int16_t *q = x.q + (g0 + 2 * pair) * 32;
            DECODE512_UNROLL for (int r = 0; r < rows; r++)
            {
                const __m256i w = decode512_bytes32(p + (size_t)r * row_size + 16 + 32 * pair);
                const __m256i low = _mm256_and_si256(w, mask), high = _mm256_and_si256(_mm256_srli_epi16(w, 4), mask);
                acc[r] = decode512_step(acc[r], decode512_widen(low, 0), q, s[r] + 2 * pair);
                acc[r] = decode512_step(acc[r], decode512_widen(high, 0), q + 32, s[r] + 2 * pair + 1);
            }
        }
    }
    for (size_t i = 0; i < 2 * n; i += 16)
        DECODE512_UNROLL for (int r = 0; r < rows; r++) acc[r] =
            _mm512_fnmadd_ps(_mm512_loadu_ps(m[r] + i), _mm512_loadu_ps(x.sum + i), acc[r]);
}

/* Group B of a Q6_K block: 6-bit integers times the scale of their half. */
DECODE512_INLINE __m512i decode512_q6_group(const uint8_t *p, const int B)
{
    const __m256i mask = _mm256_set1_epi8(15), top = _mm256_set1_epi8(0x30), middle = _mm256_set1_epi8(32);
    const int H = B >> 2, J = B & 3;
    const __m256i low = decode512_bytes32(p + 64 * H + 32 * (J & 1)), high = decode512_bytes32(p + 128 + 32 * H);
    const __m256i n = _mm256_and_si256(J < 2 ? low : _mm256_srli_epi16(low, 4), mask);
    const __m256i two = J == 0   ? _mm256_slli_epi16(high, 4)
                        : J == 1 ? _mm256_slli_epi16(high, 2)
                        : J == 2 ? high
                                 : _mm256_srli_epi16(high, 2);
    const __m256i q = _mm256_sub_epi8(_mm256_or_si256(n, _mm256_and_si256(two, top)), middle);
    const __m512i s0 = _mm512_set1_epi16((int8_t)p[192 + 2 * B]);
    const __m512i scale = _mm512_mask_set1_epi16(s0, 0xffff0000u, (int8_t)p[193 + 2 * B]);
    return _mm512_mullo_epi16(decode512_widen(q, 1), scale);
}

DECODE512_INLINE void decode512_q6_k(__m512 *acc, const uint8_t *p, size_t row_size, const int rows, bz_activation_row x, size_t n)
{
    _Alignas(64) float s[2][8];
    for (size_t g0 = 0; g0 < n; g0 += 8, p += 210) {
        DECODE512_UNROLL for (int r = 0; r < rows; r++)
        {
            const uint8_t *block = p + (size_t)r * row_size;
            const __m256 d = _mm256_set1_ps(_cvtsh_ss(decode512_u16(block + 208)));
            for (size_t line = 0; line < 256; line += 64)
                _mm_prefetch((const char *)block + DECODE512_AHEAD + line, _MM_HINT_T0);
            _mm256_store_ps(s[r], _mm256_mul_ps(_mm256_loadu_ps(x.d + g0), d));
        }
        DECODE512_UNROLL for (int B = 0; B < 8; B++)
        {
            const int16_t *q = x.q + (g0 + (size_t)B) * 32;
            DECODE512_UNROLL for (int r = 0; r < rows; r++)
            {
                const uint8_t *block = p + (size_t)r * row_size;
                acc[r] = decode512_step(acc[r], decode512_q6_group(block, B), q, s[r] + B);
            }
        }
    }
}

DECODE512_INLINE float decode512_sum(__m512 v)
{
    const __m256 a = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    const __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    const __m128 c = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(c, _mm_shuffle_ps(c, c, 1)));
}

/* Bytes of a number of groups, a constant each for the types of this file. */
DECODE512_INLINE size_t decode512_bytes(const uint32_t dtype, size_t n_groups)
{
    return dtype == BZ_DTYPE_Q4_K   ? n_groups / 8 * 144
           : dtype == BZ_DTYPE_Q6_K ? n_groups / 8 * 210
           : dtype == BZ_DTYPE_Q8_0 ? n_groups * 34
           : dtype == BZ_DTYPE_Q5_0 ? n_groups * 22
                                    : n_groups * 18;
}

/* `rows` rows, the first at p. */
DECODE512_INLINE void decode512_side_by_side(float *y, const uint8_t *p, const uint32_t dtype, const int rows, const void *x, size_t K)
{
    const size_t n_groups = K / 32, row_size = decode512_bytes(dtype, n_groups);
    for (size_t g = 0; g < n_groups; g += DECODE512_CHUNK, p += decode512_bytes(dtype, DECODE512_CHUNK)) {
        const size_t step = n_groups - g < DECODE512_CHUNK ? n_groups - g : DECODE512_CHUNK;
        const bz_activation_row a = bz_activation_row_at(x, 0, 0, K, g);
        __m512 acc[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
        if (dtype == BZ_DTYPE_Q4_K)
            decode512_q4_k(acc, p, row_size, rows, a, step);
        else if (dtype == BZ_DTYPE_Q6_K)
            decode512_q6_k(acc, p, row_size, rows, a, step);
        else
            decode512_narrow(acc, p, row_size, rows, dtype, decode512_bytes(dtype, 1), a, step);
        DECODE512_UNROLL for (int r = 0; r < rows; r++)
        {
            const float part = decode512_sum(acc[r]);
            y[r] = g ? y[r] + part : part;
        }
    }
}

DECODE512_INLINE void decode512_rows(float *y, const uint8_t *w, const uint32_t dtype, size_t n_begin, size_t n_end, const void *x,
                              size_t K)
{
    const size_t row_size = decode512_bytes(dtype, K / 32);
    size_t n = n_begin;
    for (; n + 2 <= n_end; n += 2)
        decode512_side_by_side(y + n, w + n * row_size, dtype, 2, x, K);
    if (n < n_end)
        decode512_side_by_side(y + n, w + n * row_size, dtype, 1, x, K);
}

int bz_avx512_decode(float *y, const void *w, uint32_t dtype, size_t n_begin, size_t n_end, const void *x, size_t K)
{
    switch (dtype) {
    case BZ_DTYPE_Q8_0:
        decode512_rows(y, w, BZ_DTYPE_Q8_0, n_begin, n_end, x, K);
        return 1;
    case BZ_DTYPE_Q5_0:
        decode512_rows(y, w, BZ_DTYPE_Q5_0, n_begin, n_end, x, K);
        return 1;
    case BZ_DTYPE_Q4_0:
        decode512_rows(y, w, BZ_DTYPE_Q4_0, n_begin, n_end, x, K);
        return 1;
    case BZ_DTYPE_IQ4_NL:
        decode512_rows(y, w, BZ_DTYPE_IQ4_NL, n_begin, n_end, x, K);
        return 1;
    case BZ_DTYPE_Q4_K:
        decode512_rows(y, w, BZ_DTYPE_Q4_K, n_begin, n_end, x, K);
        return 1;
    case BZ_DTYPE_Q6_K:
        decode512_rows(y, w, BZ_DTYPE_Q6_K, n_begin, n_end, x, K);
        return 1;
    default:
        return 0;
    }
}
