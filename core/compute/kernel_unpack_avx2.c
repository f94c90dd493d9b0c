/* SPDX-License-Identifier: MIT */
/* Blocks of quantised weights to groups of 16-bit integers, AVX2. Same bits as quant.c, for the types that models are mostly
 * made of; the others go through quant.c.
 * Unpacking goes to a buffer in the first cache level and not straight into the product: it keeps one product kernel for all
 * types, a prompt unpacks each row once for all its positions, and decoding waits for memory anyway. */
#include "compute/kernel_avx2.h"
#include "compute/kernel_unpack_avx2.h"
#include "compute/quant.h"

#include <immintrin.h>
#include <string.h>

/* Weights are one long stream; formats that need unpacking lag behind the hardware's prefetcher without a hint. Running past
 * the end of the mapping is harmless: a prefetch never faults. */
enum { UNPACK_AHEAD = 8192 };

#define UNPACK_PREFETCH(p) _mm_prefetch((const char *)(p) + UNPACK_AHEAD, _MM_HINT_T0)

enum { UNPACK_MOST = 128 }; /* groups whose half scales are converted at once */

static uint16_t unpack_u16(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static __m128i unpack_load16(const uint8_t *p)
{
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}

static __m256i unpack_load32(const uint8_t *p)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

static void unpack_store(int8_t *w, __m256i bytes)
{
    _mm256_storeu_si256((__m256i *)(void *)w, bytes);
}

/* n halves to floats. */
static void unpack_halves(float *out, const uint16_t *in, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(out + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(in + i))));
    for (; i < n; i++)
        out[i] = _cvtsh_ss(in[i]);
}

/* Scales (and negated minima, where has_min) of n blocks of `size` bytes that begin with them. */
static void unpack_scales(float *d, float *m, const uint8_t *p, size_t size, size_t n, int has_min)
{
    uint16_t half[UNPACK_MOST];
    for (size_t g = 0; g < n; g++)
        half[g] = unpack_u16(p + g * size);
    unpack_halves(d, half, n);
    if (!has_min)
        return;
    for (size_t g = 0; g < n; g++)
        m[g] = -_cvtsh_ss(unpack_u16(p + g * size + 2));
}

static void unpack_q8_0(int8_t *w, const uint8_t *p, size_t n)
{
    for (size_t g = 0; g < n; g++, p += 34, w += 32) {
        UNPACK_PREFETCH(p);
        unpack_store(w, unpack_load32(p + 2));
    }
}

static void unpack_q4(int8_t *w, const uint8_t *p, size_t n, size_t size, int offset)
{
    const __m256i middle = _mm256_set1_epi8((char)offset);
    for (size_t g = 0; g < n; g++, p += size, w += 32) {
        UNPACK_PREFETCH(p);
        unpack_store(w, _mm256_sub_epi8(bz_avx2_nibbles(p + size - 16), middle));
    }
}

/* `clear` is what a clear fifth bit adds (0xf0 = -16 as a byte over a nibble, or 0), `set` what a set one does. */
static void unpack_q5(int8_t *w, const uint8_t *p, size_t n, size_t size, int clear, int set)
{
    const __m256i if_clear = _mm256_set1_epi8((char)clear), if_set = _mm256_set1_epi8((char)set);
    for (size_t g = 0; g < n; g++, p += size, w += 32) {
        UNPACK_PREFETCH(p);
        const __m256i bits = bz_avx2_bits(p + size - 20);
        const __m256i high = _mm256_blendv_epi8(if_clear, if_set, bits);
        unpack_store(w, _mm256_or_si256(bz_avx2_nibbles(p + size - 16), high));
    }
}

static void unpack_iq4_nl(int8_t *w, const uint8_t *p, size_t n)
{
    const __m256i table = _mm256_broadcastsi128_si256(unpack_load16((const uint8_t *)bz_quant_iq4_values));
    for (size_t g = 0; g < n; g++, p += 18, w += 32) {
        UNPACK_PREFETCH(p);
        unpack_store(w, _mm256_shuffle_epi8(table, bz_avx2_nibbles(p + 2)));
    }
}

static void unpack_scales_k4(float *d, float *m, const uint8_t *p)
{
    uint8_t scale[8], min[8];
    uint32_t a, b, c;
    memcpy(&a, p + 4, 4);
    memcpy(&b, p + 8, 4);
    memcpy(&c, p + 12, 4);
    const uint32_t words[4] = {a & 0x3f3f3f3fu, (c & 0x0f0f0f0fu) | ((a >> 2) & 0x30303030u), b & 0x3f3f3f3fu,
                               ((c >> 4) & 0x0f0f0f0fu) | ((b >> 2) & 0x30303030u)};
    memcpy(scale, words, 8);
    memcpy(min, words + 2, 8);
    const __m256 all = _mm256_set1_ps(_cvtsh_ss(unpack_u16(p))), all_min = _mm256_set1_ps(_cvtsh_ss(unpack_u16(p + 2)));
    const __m256 sc = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)scale)));
    const __m256 mn = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)min)));
    _mm256_storeu_ps(d, _mm256_mul_ps(all, sc));
    _mm256_storeu_ps(m, _mm256_mul_ps(all_min, mn));
}

static void unpack_q4_k(int8_t *w, float *d, float *m, const uint8_t *p)
{
    const __m256i mask = _mm256_set1_epi8(15);
    unpack_scales_k4(d, m, p);
    UNPACK_PREFETCH(p);
    UNPACK_PREFETCH(p + 64);
    UNPACK_PREFETCH(p + 128);
    for (int pair = 0; pair < 4; pair++, w += 64) {
        const __m256i x = unpack_load32(p + 16 + 32 * pair);
        unpack_store(w, _mm256_and_si256(x, mask));
        unpack_store(w + 32, _mm256_and_si256(_mm256_srli_epi16(x, 4), mask));
    }
}

static void unpack_q5_k(int8_t *w, float *d, float *m, const uint8_t *p)
{
    const __m256i mask = _mm256_set1_epi8(15), fifth = _mm256_set1_epi8(16), high = unpack_load32(p + 16);
    unpack_scales_k4(d, m, p);
    UNPACK_PREFETCH(p);
    UNPACK_PREFETCH(p + 64);
    UNPACK_PREFETCH(p + 128);
    for (int B = 0; B < 8; B++, w += 32) {
        const __m256i bit = _mm256_set1_epi8((char)(1 << B)), x = unpack_load32(p + 48 + 32 * (B >> 1));
        const __m256i low = _mm256_and_si256(B & 1 ? _mm256_srli_epi16(x, 4) : x, mask);
        const __m256i set = _mm256_cmpeq_epi8(_mm256_and_si256(high, bit), bit);
        unpack_store(w, _mm256_or_si256(low, _mm256_and_si256(set, fifth)));
    }
}

static void unpack_q6_k(int8_t *w, float *d, const uint8_t *p)
{
    const __m256i mask = _mm256_set1_epi8(15), top = _mm256_set1_epi8(0x30), middle = _mm256_set1_epi8(32);
    const __m256 all = _mm256_set1_ps(_cvtsh_ss(unpack_u16(p + 208)));
    for (size_t i = 0; i < 16; i += 8) {
        const __m128i sc = _mm_loadl_epi64((const __m128i *)(const void *)(p + 192 + i));
        _mm256_storeu_ps(d + i, _mm256_mul_ps(all, _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(sc))));
    }
    for (size_t line = 0; line < 256; line += 64)
        UNPACK_PREFETCH(p + line);
    for (int B = 0; B < 8; B++, w += 32) {
        const int H = B >> 2, J = B & 3;
        const __m256i low = unpack_load32(p + 64 * H + 32 * (J & 1)), high = unpack_load32(p + 128 + 32 * H);
        const __m256i n = _mm256_and_si256(J < 2 ? low : _mm256_srli_epi16(low, 4), mask);
        const __m256i two = J == 0   ? _mm256_slli_epi16(high, 4)
                            : J == 1 ? _mm256_slli_epi16(high, 2)
                            : J == 2 ? high
                                     : _mm256_srli_epi16(high, 2);
        unpack_store(w, _mm256_sub_epi8(_mm256_or_si256(n, _mm256_and_si256(two, top)), middle));
    }
}

static void unpack_k_blocks(int8_t *w, float *d, float *m, const uint8_t *p, uint32_t dtype, size_t n_blocks)
{
    for (size_t b = 0; b < n_blocks; b++, w += 256) {
        if (dtype == BZ_DTYPE_Q4_K)
            unpack_q4_k(w, d + 8 * b, m + 8 * b, p + b * 144);
        else if (dtype == BZ_DTYPE_Q5_K)
            unpack_q5_k(w, d + 8 * b, m + 8 * b, p + b * 176);
        else
            unpack_q6_k(w, d + 16 * b, p + b * 210);
    }
}

/* At most UNPACK_MOST groups. */
static void unpack_part(int8_t *w, float *d, float *m, const void *row, uint32_t dtype, size_t group, size_t n)
{
    const uint8_t *p = (const uint8_t *)row + bz_quant_row_size(dtype, group * BZ_QUANT_GROUP);
    switch (dtype) {
    case BZ_DTYPE_Q8_0:
        unpack_scales(d, m, p, 34, n, 0);
        unpack_q8_0(w, p, n);
        break;
    case BZ_DTYPE_Q5_0:
        unpack_scales(d, m, p, 22, n, 0);
        unpack_q5(w, p, n, 22, 0xf0, 0);
        break;
    case BZ_DTYPE_Q5_1:
        unpack_scales(d, m, p, 24, n, 1);
        unpack_q5(w, p, n, 24, 0, 16);
        break;
    case BZ_DTYPE_Q4_0:
        unpack_scales(d, m, p, 18, n, 0);
        unpack_q4(w, p, n, 18, 8);
        break;
    case BZ_DTYPE_Q4_1:
        unpack_scales(d, m, p, 20, n, 1);
        unpack_q4(w, p, n, 20, 0);
        break;
    case BZ_DTYPE_IQ4_NL:
        unpack_scales(d, m, p, 18, n, 0);
        unpack_iq4_nl(w, p, n);
        break;
    case BZ_DTYPE_Q4_K:
    case BZ_DTYPE_Q5_K:
    case BZ_DTYPE_Q6_K:
        unpack_k_blocks(w, d, m, p, dtype, n / 8);
        break;
    default:
        bz_quant_unpack(w, d, m, row, dtype, group, n);
        break;
    }
}

void bz_avx2_unpack(int8_t *w, float *d, float *m, const void *row, uint32_t dtype, size_t group, size_t n)
{
    const size_t parts = BZ_QUANT_GROUP / bz_quant_part(dtype);
    while (n > 0) {
        const size_t step = n < UNPACK_MOST ? n : UNPACK_MOST;
        unpack_part(w, d, m, row, dtype, group, step);
        w += step * BZ_QUANT_GROUP;
        d += step * parts;
        m += step * parts;
        group += step;
        n -= step;
    }
}
