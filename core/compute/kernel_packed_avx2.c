/* SPDX-License-Identifier: MIT */
/* AVX2 level: panels of compute/packed.h against one or two positions at once, eight rows a vector.
 * A step's four bytes a lane are split into even and odd 16-bit words, as which vpmaddwd multiplies them with those of the
 * position in the same order, so the integer sums lie one row a lane from the start. Weights are unpacked once for
 * both positions. */
#include "compute/activation.h"
#include "compute/kernel_avx2.h"
#include "compute/packed.h"
#include "compute/quant.h"

#include <immintrin.h>
#include <string.h>

#define PACKED256_INLINE static inline __attribute__((always_inline))
#if defined(__clang__)
#define PACKED256_UNROLL _Pragma("clang loop unroll(full)")
#else
#define PACKED256_UNROLL _Pragma("GCC unroll 16")
#endif

enum {
    PACKED256_MOST = 2, /* positions; more leave no registers */
    PACKED256_CHUNK = 4096,
    PACKED256_AHEAD = 16384 /* bytes asked for ahead */
};

/* A stretch of a position. */
typedef struct packed256_input {
    _Alignas(32) int16_t q[PACKED256_CHUNK]; /* of each step elements 0, 2, 1, 3 */
    int32_t offset[PACKED256_CHUNK / 16];    /* of half a group: what the weights' offset adds to its sum */
    const float *d, *total;
} packed256_input;

PACKED256_INLINE __m256i packed256_load(const void *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

static void packed256_prepare(packed256_input *in, bz_activation_row x, size_t n_groups, uint32_t dtype)
{
    const __m256i order = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15));
    const int offset = dtype == BZ_DTYPE_Q4_0 ? 8 : dtype == BZ_DTYPE_Q5_0 ? 16 : dtype == BZ_DTYPE_Q6_K ? 32 : 0;
    in->d = x.d;
    in->total = x.total;
    for (size_t h = 0; h < 2 * n_groups; h++) {
        const __m256i q = packed256_load(x.q + 16 * h), two = _mm256_madd_epi16(q, _mm256_set1_epi16(1));
        __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(two), _mm256_extracti128_si256(two, 1));
        sum = _mm_hadd_epi32(sum, sum);
        sum = _mm_hadd_epi32(sum, sum);
        in->offset[h] = offset * _mm_cvtsi128_si32(sum);
        _mm256_store_si256((__m256i *)(void *)(in->q + 16 * h), _mm256_shuffle_epi8(q, order));
    }
}

/* ---- unpacking ---------------------------------------------------------------------------------------------------------- */

/* Puts bits `at` and on of each byte of v onto w's bits of mask. */
PACKED256_INLINE __m256i packed256_upper(__m256i w, __m256i v, const int at, const char mask)
{
    const __m256i moved = at < 4 ? _mm256_slli_epi32(v, 4 - at) : _mm256_srli_epi32(v, at - 4);
    return _mm256_or_si256(w, _mm256_and_si256(moved, _mm256_set1_epi8(mask)));
}

/* Step s at p: the first byte of eight rows' vector 0 of bytes or nibbles; upper: the bits above these. */
PACKED256_INLINE __m256i packed256_step(const uint8_t *p, __m256i upper, const int s, const uint32_t dtype)
{
    if (dtype == BZ_DTYPE_Q8_0)
        return packed256_load(p + 64 * s);
    const __m256i n = packed256_load(p + 64 * (s / 2));
    const __m256i w = _mm256_and_si256(s % 2 == 0 ? n : _mm256_srli_epi16(n, 4), _mm256_set1_epi8(15));
    if (dtype == BZ_DTYPE_Q5_0)
        return packed256_upper(w, upper, s, 16);
    if (dtype == BZ_DTYPE_Q6_K)
        return packed256_upper(w, upper, 2 * s, 48);
    return w;
}

/* ---- sums --------------------------------------------------------------------------------------------------------------- */

PACKED256_INLINE __m256i packed256_pair(const int16_t *q)
{
    int32_t v;
    memcpy(&v, q, sizeof v);
    return _mm256_set1_epi32(v);
}

/* Sums of the products of n steps of eight rows with those at element k of the positions. */
PACKED256_INLINE void packed256_sums(__m256i *sum, const uint8_t *p, __m256i upper, const int n, const packed256_input *in,
                                     size_t k, const int T, const uint32_t dtype)
{
    PACKED256_UNROLL for (int t = 0; t < T; t++) sum[t] = _mm256_setzero_si256();
    PACKED256_UNROLL for (int s = 0; s < n; s++)
    {
        const __m256i w = packed256_step(p, upper, s, dtype);
        const __m256i even = dtype == BZ_DTYPE_Q8_0 ? _mm256_srai_epi16(_mm256_slli_epi16(w, 8), 8)
                                                    : _mm256_and_si256(w, _mm256_set1_epi16(255));
        const __m256i odd = dtype == BZ_DTYPE_Q8_0 ? _mm256_srai_epi16(w, 8) : _mm256_srli_epi16(w, 8);
        PACKED256_UNROLL for (int t = 0; t < T; t++)
        {
            const int16_t *q = in[t].q + k + 4 * (size_t)s;
            const __m256i a = _mm256_madd_epi16(even, packed256_pair(q)), b = _mm256_madd_epi16(odd, packed256_pair(q + 2));
            sum[t] = _mm256_add_epi32(sum[t], _mm256_add_epi32(a, b));
        }
    }
}

PACKED256_INLINE __m256 packed256_halves(const uint8_t *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)p));
}

PACKED256_INLINE __m256 packed256_bytes(const uint8_t *p, const int is_signed)
{
    const __m128i v = _mm_loadl_epi64((const __m128i *)(const void *)p);
    return _mm256_cvtepi32_ps(is_signed ? _mm256_cvtepi8_epi32(v) : _mm256_cvtepu8_epi32(v));
}

PACKED256_INLINE __m256 packed256_add(__m256 y, __m256i sum, __m256 scale, float d)
{
    return _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum), _mm256_mul_ps(scale, _mm256_set1_ps(d)), y);
}

/* Asks for what comes PACKED256_AHEAD bytes later than n bytes of the stream. */
PACKED256_INLINE void packed256_ahead(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i += 64)
        _mm_prefetch((const char *)p + PACKED256_AHEAD + i, _MM_HINT_T1);
}

/* ---- panels: y[2 t] and y[2 t + 1] are the lower and upper eight rows of position t ------------------------------------- */

PACKED256_INLINE void packed256_narrow(__m256 *y, const uint8_t *p, const packed256_input *in, size_t n_groups, const int T,
                                       const uint32_t dtype, const size_t size)
{
    for (size_t g = 0; g < n_groups; g++, p += size) {
        packed256_ahead(p, size);
        PACKED256_UNROLL for (int h = 0; h < 2; h++)
        {
            __m256i sum[PACKED256_MOST];
            const __m256i upper = dtype == BZ_DTYPE_Q5_0 ? packed256_load(p + 32 + 32 * h) : _mm256_setzero_si256();
            const __m256 scale = packed256_halves(p + 16 * h);
            packed256_sums(sum, p + (dtype == BZ_DTYPE_Q5_0 ? 96 : 32) + 32 * h, upper, 8, in, 32 * g, T, dtype);
            PACKED256_UNROLL for (int t = 0; t < T; t++)
            {
                const __m256i offset = _mm256_set1_epi32(in[t].offset[2 * g] + in[t].offset[2 * g + 1]);
                y[2 * t + h] = packed256_add(y[2 * t + h], _mm256_sub_epi32(sum[t], offset), scale, in[t].d[g]);
            }
        }
    }
}

PACKED256_INLINE void packed256_q4_k(__m256 *y, const uint8_t *p, const packed256_input *in, size_t n_groups, const int T)
{
    for (size_t g = 0; g < n_groups; g += 8, p += BZ_PACKED_Q4_K) {
        packed256_ahead(p, 320);
        for (size_t i = 0; i < 8; i++) {
            packed256_ahead(p + 320 + 256 * i, 256);
            PACKED256_UNROLL for (int h = 0; h < 2; h++)
            {
                __m256i sum[PACKED256_MOST];
                const uint8_t *bytes = p + 64 + 16 * i + 8 * h;
                const __m256 scale = _mm256_mul_ps(packed256_halves(p + 16 * h), packed256_bytes(bytes, 0));
                const __m256 min = _mm256_mul_ps(packed256_halves(p + 32 + 16 * h), packed256_bytes(bytes + 128, 0));
                packed256_sums(sum, p + 320 + 256 * i + 32 * (size_t)h, _mm256_setzero_si256(), 8, in, 32 * (g + i), T,
                               BZ_DTYPE_Q4_K);
                PACKED256_UNROLL for (int t = 0; t < T; t++)
                {
                    __m256 *to = y + 2 * t + h;
                    *to = packed256_add(*to, sum[t], scale, in[t].d[g + i]);
                    *to = _mm256_fnmadd_ps(min, _mm256_set1_ps(in[t].total[g + i]), *to);
                }
            }
        }
    }
}

PACKED256_INLINE void packed256_q6_k(__m256 *y, const uint8_t *p, const packed256_input *in, size_t n_groups, const int T)
{
    for (size_t g = 0; g < n_groups; g += 8, p += BZ_PACKED_Q6_K) {
        packed256_ahead(p, 288);
        for (size_t i = 0; i < 16; i++) {
            const uint8_t *part = p + 288 + 192 * i;
            packed256_ahead(part, 192);
            PACKED256_UNROLL for (int h = 0; h < 2; h++)
            {
                __m256i sum[PACKED256_MOST];
                const __m256 scale = _mm256_mul_ps(packed256_halves(p + 16 * h), packed256_bytes(p + 32 + 16 * i + 8 * (size_t)h, 1));
                packed256_sums(sum, part + 64 + 32 * h, packed256_load(part + 32 * h), 4, in, 32 * g + 16 * i, T, BZ_DTYPE_Q6_K);
                PACKED256_UNROLL for (int t = 0; t < T; t++)
                {
                    const __m256i offset = _mm256_set1_epi32(in[t].offset[2 * g + i]);
                    y[2 * t + h] = packed256_add(y[2 * t + h], _mm256_sub_epi32(sum[t], offset), scale, in[t].d[g + i / 2]);
                }
            }
        }
    }
}

PACKED256_INLINE void packed256_panel(__m256 *y, const uint8_t *p, const packed256_input *in, size_t n_groups, const int T,
                                      const uint32_t dtype)
{
    switch (dtype) {
    case BZ_DTYPE_Q8_0: packed256_narrow(y, p, in, n_groups, T, BZ_DTYPE_Q8_0, BZ_PACKED_Q8_0); break;
    case BZ_DTYPE_Q4_0: packed256_narrow(y, p, in, n_groups, T, BZ_DTYPE_Q4_0, BZ_PACKED_Q4_0); break;
    case BZ_DTYPE_Q5_0: packed256_narrow(y, p, in, n_groups, T, BZ_DTYPE_Q5_0, BZ_PACKED_Q5_0); break;
    case BZ_DTYPE_Q4_K: packed256_q4_k(y, p, in, n_groups, T); break;
    default: packed256_q6_k(y, p, in, n_groups, T); break;
    }
}

/* Where panels are read and written. */
typedef struct packed256_job {
    float *y; /* of the first row */
    size_t y_stride;
    const uint8_t *p; /* the stretch of its first panel */
    size_t panel_size, n_panels, n_groups;
    uint32_t dtype;
    int add; /* not the first stretch: goes on from y */
} packed256_job;

PACKED256_INLINE void packed256_panels(const packed256_job *job, const packed256_input *in, const int T)
{
    for (size_t i = 0; i < job->n_panels; i++) {
        __m256 y[2 * PACKED256_MOST];
        float *to = job->y + i * BZ_PACKED_ROWS;
        PACKED256_UNROLL for (int j = 0; j < 2 * T; j++) y[j] =
            job->add ? _mm256_loadu_ps(to + (size_t)(j / 2) * job->y_stride + 8 * (j % 2)) : _mm256_setzero_ps();
        packed256_panel(y, job->p + i * job->panel_size, in, job->n_groups, T, job->dtype);
        PACKED256_UNROLL for (int j = 0; j < 2 * T; j++)
            _mm256_storeu_ps(to + (size_t)(j / 2) * job->y_stride + 8 * (j % 2), y[j]);
    }
}

#define PACKED256_COPY(name, T)                                               \
    static void name(const packed256_job *job, const packed256_input *in)     \
    {                                                                         \
        packed256_panels(job, in, T);                                         \
    }

PACKED256_COPY(packed256_one, 1)
PACKED256_COPY(packed256_two, 2)

int bz_avx2_matmul_packed(float *y, size_t y_stride, const uint8_t *panels, uint32_t dtype, size_t n_begin, size_t n_end,
                          const void *x, size_t x_stride, size_t T, size_t K)
{
    static void (*const copies[PACKED256_MOST])(const packed256_job *, const packed256_input *) = {
        packed256_one, packed256_two};
    packed256_input in[PACKED256_MOST];
    const size_t n_groups = K / BZ_QUANT_GROUP, panel_size = bz_packed_panel_size(dtype, K);
    packed256_job job = {.y_stride = y_stride, .panel_size = panel_size, .n_panels = (n_end - n_begin) / BZ_PACKED_ROWS,
                         .dtype = dtype};
    if (panel_size == 0)
        return 0;
    for (size_t t = 0, n; t < T; t += n) {
        n = T - t < PACKED256_MOST ? T - t : PACKED256_MOST;
        job.y = y + t * y_stride + n_begin;
        for (size_t g = 0; g < n_groups; g += job.n_groups) {
            const size_t left = n_groups - g;
            job.n_groups = left < PACKED256_CHUNK / 32 ? left : PACKED256_CHUNK / 32;
            job.add = g > 0;
            job.p = panels + n_begin / BZ_PACKED_ROWS * panel_size + bz_packed_panel_size(dtype, g * BZ_QUANT_GROUP);
            for (size_t i = 0; i < n; i++)
                packed256_prepare(&in[i], bz_activation_row_at(x, x_stride, t + i, K, g), job.n_groups, dtype);
            copies[n - 1](&job, in);
        }
    }
    return 1;
}
