/* SPDX-License-Identifier: MIT */
/* AVX-512 level: panels of compute/packed.h against one to four positions at once.
 * A position's 16 bits are a signed high and an unsigned low byte; vpdpbusd multiplies four of either with those of sixteen rows
 * and adds them, so the integer sums lie one row a lane from the start. high * 256 + low is exact. Weights below 128 are of
 * either kind to vpdpbusd; 8-bit ones get 128 for the high bytes, which is taken off again, exactly, with the offset of the
 * position. Weights are unpacked once for all positions. */
#include "compute/activation.h"
#include "compute/kernel_avx512.h"
#include "compute/packed.h"
#include "compute/quant.h"

#include <immintrin.h>
#include <string.h>

#define PACKED512_INLINE static inline __attribute__((always_inline))
#if defined(__clang__)
#define PACKED512_UNROLL _Pragma("clang loop unroll(full)")
#else
#define PACKED512_UNROLL _Pragma("GCC unroll 16")
#endif

enum {
    PACKED512_MOST = 4, /* positions */
    PACKED512_CHUNK = 4096,
    PACKED512_AHEAD = 16384 /* bytes asked for ahead */
};

/* A stretch of a position. */
typedef struct packed512_input {
    _Alignas(64) uint8_t low[PACKED512_CHUNK];
    _Alignas(64) int8_t high[PACKED512_CHUNK];
    int32_t offset[PACKED512_CHUNK / 16]; /* of half a group: what the weights' offset adds to its sum */
    const float *d, *total;
} packed512_input;

static void packed512_prepare(packed512_input *in, bz_activation_row x, size_t n_groups, uint32_t dtype)
{
    const int of_all = dtype == BZ_DTYPE_Q4_0 ? 8 : dtype == BZ_DTYPE_Q5_0 ? 16 : dtype == BZ_DTYPE_Q6_K ? 32 : 0;
    const int of_high = dtype == BZ_DTYPE_Q8_0 ? 128 * 256 : 0;
    in->d = x.d;
    in->total = x.total;
    for (size_t h = 0; h < 2 * n_groups; h++) {
        const __m256i q = _mm256_loadu_si256((const __m256i *)(const void *)(x.q + 16 * h));
        const __m256i high = _mm256_srai_epi16(q, 8), v = of_high != 0 ? high : q;
        _mm_store_si128((__m128i *)(void *)(in->low + 16 * h), _mm256_cvtepi16_epi8(q));
        _mm_store_si128((__m128i *)(void *)(in->high + 16 * h), _mm256_cvtepi16_epi8(high));
        in->offset[h] = (of_all + of_high) * _mm512_reduce_add_epi32(_mm512_cvtepi16_epi32(v));
    }
}

/* ---- unpacking ---------------------------------------------------------------------------------------------------------- */

/* Steps 2 v and 2 v + 1 from a vector of nibbles. */
PACKED512_INLINE void packed512_nibbles(__m512i w[2], const uint8_t *p)
{
    const __m512i n = _mm512_loadu_si512(p), mask = _mm512_set1_epi8(15);
    w[0] = _mm512_and_si512(n, mask);
    w[1] = _mm512_and_si512(_mm512_srli_epi16(n, 4), mask);
}

/* Puts bits `at` and on of each byte of v onto w's bits of mask. Shifts of 32 bits do, since the mask drops what crosses. */
PACKED512_INLINE __m512i packed512_upper(__m512i w, __m512i v, const unsigned at, const char mask)
{
    const __m512i moved = at < 4 ? _mm512_slli_epi32(v, 4 - at) : _mm512_srli_epi32(v, at - 4);
    return _mm512_ternarylogic_epi32(w, moved, _mm512_set1_epi8(mask), 0xf8); /* w | (moved & mask) */
}

/* A group of 32: eight steps. */
PACKED512_INLINE void packed512_group(__m512i w[8], const uint8_t *p, const uint32_t dtype)
{
    if (dtype == BZ_DTYPE_Q8_0) {
        PACKED512_UNROLL for (int s = 0; s < 8; s++) w[s] = _mm512_loadu_si512(p + 64 * s);
        return;
    }
    const uint8_t *nibbles = dtype == BZ_DTYPE_Q5_0 ? p + 64 : p;
    PACKED512_UNROLL for (int v = 0; v < 4; v++) packed512_nibbles(w + 2 * v, nibbles + 64 * v);
    if (dtype == BZ_DTYPE_Q5_0) {
        const __m512i fifth = _mm512_loadu_si512(p);
        PACKED512_UNROLL for (unsigned s = 0; s < 8; s++) w[s] = packed512_upper(w[s], fifth, s, 16);
    }
}

/* ---- sums --------------------------------------------------------------------------------------------------------------- */

/* Sum of the products of n steps with those at element k of the position. */
PACKED512_INLINE __m512i packed512_sum(const __m512i *w, const int n, const packed512_input *in, size_t k, const uint32_t dtype)
{
    __m512i low = _mm512_setzero_si512(), high = low;
    PACKED512_UNROLL for (int s = 0; s < n; s++)
    {
        int32_t a, b;
        memcpy(&a, in->low + k + 4 * (size_t)s, 4);
        memcpy(&b, in->high + k + 4 * (size_t)s, 4);
        const __m512i u = dtype == BZ_DTYPE_Q8_0 ? _mm512_xor_si512(w[s], _mm512_set1_epi8(-128)) : w[s];
        low = _mm512_dpbusd_epi32(low, _mm512_set1_epi32(a), w[s]);
        high = _mm512_dpbusd_epi32(high, u, _mm512_set1_epi32(b));
    }
    return _mm512_add_epi32(low, _mm512_slli_epi32(high, 8));
}

PACKED512_INLINE __m512 packed512_halves(const uint8_t *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}

PACKED512_INLINE __m512 packed512_bytes(const uint8_t *p, const int is_signed)
{
    const __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
    return _mm512_cvtepi32_ps(is_signed ? _mm512_cvtepi8_epi32(v) : _mm512_cvtepu8_epi32(v));
}

PACKED512_INLINE __m512 packed512_add(__m512 y, __m512i sum, __m512 scale, float d)
{
    return _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), _mm512_mul_ps(scale, _mm512_set1_ps(d)), y);
}

/* Asks for what comes PACKED512_AHEAD bytes later than n bytes of the stream. */
PACKED512_INLINE void packed512_ahead(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i += 64)
        _mm_prefetch((const char *)p + PACKED512_AHEAD + i, _MM_HINT_T1);
}

/* ---- panels ------------------------------------------------------------------------------------------------------------- */

PACKED512_INLINE void packed512_narrow(__m512 *y, const uint8_t *p, const packed512_input *in, size_t n_groups, const int T,
                                       const uint32_t dtype, const size_t size)
{
    for (size_t g = 0; g < n_groups; g++, p += size) {
        __m512i w[8];
        packed512_ahead(p, size);
        packed512_group(w, p + 32, dtype);
        const __m512 scale = packed512_halves(p);
        PACKED512_UNROLL for (int t = 0; t < T; t++)
        {
            const __m512i offset = _mm512_set1_epi32(in[t].offset[2 * g] + in[t].offset[2 * g + 1]);
            const __m512i sum = _mm512_sub_epi32(packed512_sum(w, 8, &in[t], 32 * g, dtype), offset);
            y[t] = packed512_add(y[t], sum, scale, in[t].d[g]);
        }
    }
}

PACKED512_INLINE void packed512_q4_k(__m512 *y, const uint8_t *p, const packed512_input *in, size_t n_groups, const int T)
{
    for (size_t g = 0; g < n_groups; g += 8, p += BZ_PACKED_Q4_K) {
        const __m512 d = packed512_halves(p), d_min = packed512_halves(p + 32);
        packed512_ahead(p, 320);
        for (size_t i = 0; i < 8; i++) {
            __m512i w[8];
            packed512_ahead(p + 320 + 256 * i, 256);
            packed512_group(w, p + 320 + 256 * i, BZ_DTYPE_Q4_K);
            const __m512 scale = _mm512_mul_ps(d, packed512_bytes(p + 64 + 16 * i, 0));
            const __m512 min = _mm512_mul_ps(d_min, packed512_bytes(p + 192 + 16 * i, 0));
            PACKED512_UNROLL for (int t = 0; t < T; t++)
            {
                const __m512i sum = packed512_sum(w, 8, &in[t], 32 * (g + i), BZ_DTYPE_Q4_K);
                y[t] = packed512_add(y[t], sum, scale, in[t].d[g + i]);
                y[t] = _mm512_fnmadd_ps(min, _mm512_set1_ps(in[t].total[g + i]), y[t]);
            }
        }
    }
}

PACKED512_INLINE void packed512_q6_k(__m512 *y, const uint8_t *p, const packed512_input *in, size_t n_groups, const int T)
{
    for (size_t g = 0; g < n_groups; g += 8, p += BZ_PACKED_Q6_K) {
        const __m512 d = packed512_halves(p);
        packed512_ahead(p, 288);
        for (size_t i = 0; i < 16; i++) {
            const uint8_t *part = p + 288 + 192 * i;
            __m512i w[4];
            packed512_ahead(part, 192);
            const __m512i upper = _mm512_loadu_si512(part);
            packed512_nibbles(w, part + 64);
            packed512_nibbles(w + 2, part + 128);
            PACKED512_UNROLL for (unsigned s = 0; s < 4; s++) w[s] = packed512_upper(w[s], upper, 2 * s, 48);
            const __m512 scale = _mm512_mul_ps(d, packed512_bytes(p + 32 + 16 * i, 1));
            PACKED512_UNROLL for (int t = 0; t < T; t++)
            {
                const __m512i sum = packed512_sum(w, 4, &in[t], 32 * g + 16 * i, BZ_DTYPE_Q6_K);
                y[t] = packed512_add(y[t], _mm512_sub_epi32(sum, _mm512_set1_epi32(in[t].offset[2 * g + i])), scale,
                                     in[t].d[g + i / 2]);
            }
        }
    }
}

PACKED512_INLINE void packed512_panel(__m512 *y, const uint8_t *p, const packed512_input *in, size_t n_groups, const int T,
                                      const uint32_t dtype)
{
    switch (dtype) {
    case BZ_DTYPE_Q8_0: packed512_narrow(y, p, in, n_groups, T, BZ_DTYPE_Q8_0, BZ_PACKED_Q8_0); break;
    case BZ_DTYPE_Q4_0: packed512_narrow(y, p, in, n_groups, T, BZ_DTYPE_Q4_0, BZ_PACKED_Q4_0); break;
    case BZ_DTYPE_Q5_0: packed512_narrow(y, p, in, n_groups, T, BZ_DTYPE_Q5_0, BZ_PACKED_Q5_0); break;
    case BZ_DTYPE_Q4_K: packed512_q4_k(y, p, in, n_groups, T); break;
    default: packed512_q6_k(y, p, in, n_groups, T); break;
    }
}

/* Where a panel is read and written. */
typedef struct packed512_job {
    float *y; /* of the first row */
    size_t y_stride;
    const uint8_t *p; /* the stretch of its first panel */
    size_t panel_size, n_panels, n_groups;
    uint32_t dtype;
    int add; /* not the first stretch: goes on from y */
} packed512_job;

PACKED512_INLINE void packed512_panels(const packed512_job *job, const packed512_input *in, const int T)
{
    for (size_t i = 0; i < job->n_panels; i++) {
        __m512 y[PACKED512_MOST];
        float *to = job->y + i * BZ_PACKED_ROWS;
        PACKED512_UNROLL for (int t = 0; t < T; t++) y[t] =
            job->add ? _mm512_loadu_ps(to + (size_t)t * job->y_stride) : _mm512_setzero_ps();
        packed512_panel(y, job->p + i * job->panel_size, in, job->n_groups, T, job->dtype);
        PACKED512_UNROLL for (int t = 0; t < T; t++) _mm512_storeu_ps(to + (size_t)t * job->y_stride, y[t]);
    }
}

#define PACKED512_COPY(name, T)                                               \
    static void name(const packed512_job *job, const packed512_input *in)     \
    {                                                                         \
        packed512_panels(job, in, T);                                         \
    }

PACKED512_COPY(packed512_one, 1)
PACKED512_COPY(packed512_two, 2)
PACKED512_COPY(packed512_three, 3)
PACKED512_COPY(packed512_four, 4)

int bz_avx512_matmul_packed(float *y, size_t y_stride, const uint8_t *packed, uint32_t dtype, size_t n_begin, size_t n_end,
                            const void *x, size_t x_stride, size_t T, size_t K)
{
    static void (*const copies[PACKED512_MOST])(const packed512_job *, const packed512_input *) = {
        packed512_one, packed512_two, packed512_three, packed512_four};
    packed512_input in[PACKED512_MOST];
    const size_t n_groups = K / BZ_QUANT_GROUP, panel_size = bz_packed_panel_size(dtype, K);
    packed512_job job = {.y_stride = y_stride, .panel_size = panel_size, .n_panels = (n_end - n_begin) / BZ_PACKED_ROWS,
                         .dtype = dtype};
    if (panel_size == 0)
        return 0;
    for (size_t t = 0, n; t < T; t += n) {
        n = T - t < PACKED512_MOST ? T - t : T - t == PACKED512_MOST + 1 ? PACKED512_MOST - 1 : PACKED512_MOST;
        job.y = y + t * y_stride + n_begin;
        for (size_t g = 0; g < n_groups; g += job.n_groups) {
            const size_t left = n_groups - g;
            job.n_groups = left < PACKED512_CHUNK / 32 ? left : PACKED512_CHUNK / 32;
            job.add = g > 0;
            job.p = packed + n_begin / BZ_PACKED_ROWS * panel_size + bz_packed_panel_size(dtype, g * BZ_QUANT_GROUP);
            for (size_t i = 0; i < n; i++)
                packed512_prepare(&in[i], bz_activation_row_at(x, x_stride, t + i, K, g), job.n_groups, dtype);
            copies[n - 1](&job, in);
        }
    }
    return 1;
}
