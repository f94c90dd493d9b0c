/* SPDX-License-Identifier: MIT */
/* AVX2 level: one position against many rows, straight from the blocks, for the types that models are mostly made of.
 * Eight rows go side by side. The products of a row's group are added up over the row by a tree of integer adds that leaves
 * one row a lane, so the float part is the one of compute/activation.h with rows as lanes, and its bits.
 * The weights' even and odd bytes of a 16-bit word are split by shifts and masks, which is why the position is first brought
 * into that order: even elements of a group, then odd ones, the halves of the group in the halves of the vectors. Nibbles
 * stay unsigned; what their offset adds is a product of the position's sum, exact in integers.
 * Does not: unpack other types (kernel_gemm_avx2). */
#include "compute/activation.h"
#include "compute/kernel_avx2.h"
#include "compute/quant.h"

#include <immintrin.h>
#include <string.h>

#define DECODE256_INLINE static inline __attribute__((always_inline))
#if defined(__clang__)
#define DECODE256_UNROLL _Pragma("clang loop unroll(full)")
#else
#define DECODE256_UNROLL _Pragma("GCC unroll 16")
#endif

enum {
    DECODE256_ROWS = 8,
    DECODE256_CHUNK = 8192,
    DECODE256_AHEAD = 2 /* eights of rows asked for ahead, into the second cache level: the first is full of rows */
};

/* A stretch of the position. */
typedef struct decode256_input {
    _Alignas(32) int16_t q[DECODE256_CHUNK]; /* group: 16 even elements, 16 odd ones */
    int32_t sum[DECODE256_CHUNK / 16];       /* of half a group */
    const float *d, *total;
    size_t n_groups;
    int add; /* not the first stretch: goes on from y */
} decode256_input;

DECODE256_INLINE __m256i decode256_load(const void *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

DECODE256_INLINE uint32_t decode256_u32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static void decode256_prepare(decode256_input *in, bz_activation_row x, size_t n_groups)
{
    const __m256i one = _mm256_set1_epi16(1), low = _mm256_set1_epi32(0xffff);
    in->d = x.d;
    in->total = x.total;
    in->n_groups = n_groups;
    for (size_t g = 0; g < n_groups; g++) {
        const __m256i a = decode256_load(x.q + 32 * g), b = decode256_load(x.q + 32 * g + 16);
        const __m256i even = _mm256_packus_epi32(_mm256_and_si256(a, low), _mm256_and_si256(b, low));
        const __m256i odd = _mm256_packus_epi32(_mm256_srli_epi32(a, 16), _mm256_srli_epi32(b, 16));
        const __m256i two = _mm256_hadd_epi32(_mm256_madd_epi16(a, one), _mm256_madd_epi16(b, one));
        const __m256i four = _mm256_hadd_epi32(two, two); /* a and b of the lower lane, then of the upper one */
        const __m128i sums = _mm_add_epi32(_mm256_castsi256_si128(four), _mm256_extracti128_si256(four, 1));
        _mm256_store_si256((__m256i *)(void *)(in->q + 32 * g), _mm256_permute4x64_epi64(even, 0xd8));
        _mm256_store_si256((__m256i *)(void *)(in->q + 32 * g + 16), _mm256_permute4x64_epi64(odd, 0xd8));
        _mm_storel_epi64((__m128i *)(void *)(in->sum + 2 * g), sums);
    }
}

/* ---- one group of one row: eight sums, the lower four of the first half ------------------------------------------------- */

DECODE256_INLINE __m256i decode256_products(__m256i even, __m256i odd, const int16_t *q)
{
    return _mm256_add_epi32(_mm256_madd_epi16(even, decode256_load(q)), _mm256_madd_epi16(odd, decode256_load(q + 16)));
}

DECODE256_INLINE __m256i decode256_signed(__m256i bytes, const int16_t *q)
{
    return decode256_products(_mm256_srai_epi16(_mm256_slli_epi16(bytes, 8), 8), _mm256_srai_epi16(bytes, 8), q);
}

DECODE256_INLINE __m256i decode256_unsigned(__m256i bytes, const int16_t *q)
{
    return decode256_products(_mm256_and_si256(bytes, _mm256_set1_epi16(255)), _mm256_srli_epi16(bytes, 8), q);
}

/* 16 bytes of nibbles as 32 bytes, the low ones in the lower half. */
DECODE256_INLINE __m256i decode256_nibbles(const uint8_t *p)
{
    const __m256i x = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)p));
    return _mm256_and_si256(_mm256_srlv_epi32(x, _mm256_setr_epi32(0, 0, 0, 0, 4, 4, 4, 4)), _mm256_set1_epi8(15));
}

/* 16 where bit i of the four bytes at p is set. */
DECODE256_INLINE __m256i decode256_fifth(const uint8_t *p)
{
    const __m256i spread = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const __m256i place = _mm256_set1_epi64x((long long)0x8040201008040201);
    const __m256i v = _mm256_and_si256(_mm256_shuffle_epi8(_mm256_set1_epi32((int)decode256_u32(p)), spread), place);
    return _mm256_and_si256(_mm256_cmpeq_epi8(v, place), _mm256_set1_epi8(16));
}

/* What is taken off the unsigned weights of a type. */
DECODE256_INLINE int decode256_offset(const uint32_t dtype)
{
    return dtype == BZ_DTYPE_Q5_0 ? 16 : dtype == BZ_DTYPE_Q4_0 ? 8 : dtype == BZ_DTYPE_Q6_K ? 32 : 0;
}

/* p: a block of 32. */
DECODE256_INLINE __m256i decode256_narrow(const uint8_t *p, const uint32_t dtype, const int16_t *q)
{
    if (dtype == BZ_DTYPE_Q8_0)
        return decode256_signed(decode256_load(p + 2), q);
    if (dtype == BZ_DTYPE_Q5_0)
        return decode256_unsigned(_mm256_or_si256(decode256_nibbles(p + 6), decode256_fifth(p + 2)), q);
    if (dtype == BZ_DTYPE_Q4_0)
        return decode256_unsigned(decode256_nibbles(p + 2), q);
    const __m128i table = _mm_loadu_si128((const __m128i *)(const void *)bz_quant_iq4_values);
    return decode256_signed(_mm256_shuffle_epi8(_mm256_broadcastsi128_si256(table), decode256_nibbles(p + 2)), q);
}

/* Group B of a block of 256. */
DECODE256_INLINE __m256i decode256_wide(const uint8_t *p, const uint32_t dtype, const int B, const int16_t *q)
{
    const __m256i mask = _mm256_set1_epi8(15);
    if (dtype == BZ_DTYPE_Q4_K) {
        const __m256i w = decode256_load(p + 16 + 32 * (B >> 1));
        const __m256i nibble = _mm256_set1_epi16(15);
        const __m256i even = B & 1 ? _mm256_srli_epi16(w, 4) : w;
        const __m256i odd = _mm256_srli_epi16(w, B & 1 ? 12 : 8);
        return decode256_products(_mm256_and_si256(even, nibble), B & 1 ? odd : _mm256_and_si256(odd, nibble), q);
    }
    const int H = B >> 2, J = B & 3;
    const __m256i low = decode256_load(p + 64 * H + 32 * (J & 1)), high = decode256_load(p + 128 + 32 * H);
    const __m256i n = _mm256_and_si256(J < 2 ? low : _mm256_srli_epi16(low, 4), mask);
    const __m256i two = J == 0   ? _mm256_slli_epi16(high, 4)
                        : J == 1 ? _mm256_slli_epi16(high, 2)
                        : J == 2 ? high
                                 : _mm256_srli_epi16(high, 2);
    return decode256_unsigned(_mm256_or_si256(n, _mm256_and_si256(two, _mm256_set1_epi8(0x30))), q);
}

/* ---- eight rows --------------------------------------------------------------------------------------------------------- */

/* v[r] has eight sums of row r: out[0] has row r's sum of the lower four in lane r, out[1] of the upper four. */
DECODE256_INLINE void decode256_rows_to_lanes(__m256i out[2], const __m256i v[8])
{
    const __m256i a = _mm256_hadd_epi32(_mm256_hadd_epi32(v[0], v[1]), _mm256_hadd_epi32(v[2], v[3]));
    const __m256i b = _mm256_hadd_epi32(_mm256_hadd_epi32(v[4], v[5]), _mm256_hadd_epi32(v[6], v[7]));
    out[0] = _mm256_permute2x128_si256(a, b, 0x20);
    out[1] = _mm256_permute2x128_si256(a, b, 0x31);
}

DECODE256_INLINE __m256 decode256_add(__m256 y, __m256i sum, __m256 scale, float d)
{
    return _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum), _mm256_mul_ps(scale, _mm256_set1_ps(d)), y);
}

/* Half floats in the word at p[r] + at, from bit `shift` on, r = 0..7. */
DECODE256_INLINE __m256 decode256_halves(const uint8_t *const p[8], size_t at, const int shift)
{
    __m128i v[8];
    DECODE256_UNROLL for (int r = 0; r < 8; r++) v[r] = _mm_cvtsi32_si128((int)(decode256_u32(p[r] + at) >> shift));
    const __m128i a = _mm_unpacklo_epi32(_mm_unpacklo_epi16(v[0], v[1]), _mm_unpacklo_epi16(v[2], v[3]));
    const __m128i b = _mm_unpacklo_epi32(_mm_unpacklo_epi16(v[4], v[5]), _mm_unpacklo_epi16(v[6], v[7]));
    return _mm256_cvtph_ps(_mm_unpacklo_epi64(a, b));
}

DECODE256_INLINE __m256 decode256_narrow_rows(__m256 y, const uint8_t *const row[8], const uint32_t dtype, const size_t size,
                                              const decode256_input *in, size_t ahead)
{
    for (size_t g = 0, at = 0; g < in->n_groups; g++, at += size) {
        __m256i v[8], sum[2];
        DECODE256_UNROLL for (int r = 0; r < 8; r++)
        {
            _mm_prefetch((const char *)row[r] + at + ahead, _MM_HINT_T1);
            v[r] = decode256_narrow(row[r] + at, dtype, in->q + 32 * g);
        }
        decode256_rows_to_lanes(sum, v);
        __m256i total = _mm256_add_epi32(sum[0], sum[1]);
        if (decode256_offset(dtype) != 0) {
            const int32_t all = in->sum[2 * g] + in->sum[2 * g + 1];
            total = _mm256_sub_epi32(total, _mm256_set1_epi32(decode256_offset(dtype) * all));
        }
        y = decode256_add(y, total, decode256_halves(row, at, 0), in->d[g]);
    }
    return y;
}

/* Eight bytes of eight rows, transposed: byte i of row r becomes byte 8 * i + r. */
DECODE256_INLINE void decode256_transpose8(uint8_t out[64], const uint64_t row[8])
{
    __m128i v[4], u[4];
    DECODE256_UNROLL for (int i = 0; i < 4; i++)
        v[i] = _mm_unpacklo_epi8(_mm_cvtsi64_si128((long long)row[i]), _mm_cvtsi64_si128((long long)row[i + 4]));
    u[0] = _mm_unpacklo_epi8(v[0], v[2]); /* bytes 0-3 of rows 0 2 4 6 */
    u[1] = _mm_unpackhi_epi8(v[0], v[2]);
    u[2] = _mm_unpacklo_epi8(v[1], v[3]); /* of rows 1 3 5 7 */
    u[3] = _mm_unpackhi_epi8(v[1], v[3]);
    _mm_storeu_si128((__m128i *)(void *)out, _mm_unpacklo_epi8(u[0], u[2]));
    _mm_storeu_si128((__m128i *)(void *)(out + 16), _mm_unpackhi_epi8(u[0], u[2]));
    _mm_storeu_si128((__m128i *)(void *)(out + 32), _mm_unpacklo_epi8(u[1], u[3]));
    _mm_storeu_si128((__m128i *)(void *)(out + 48), _mm_unpackhi_epi8(u[1], u[3]));
}

DECODE256_INLINE __m256 decode256_unsigned8(const uint8_t *p)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p)));
}

DECODE256_INLINE __m256 decode256_signed8(const uint8_t *p)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p)));
}

DECODE256_INLINE __m256 decode256_q4_k_rows(__m256 y, const uint8_t *const row[8], const decode256_input *in, size_t ahead)
{
    for (size_t g0 = 0, at = 0; g0 < in->n_groups; g0 += 8, at += 144) {
        uint64_t packed[2][8];
        uint8_t scale[64], min[64];
        DECODE256_UNROLL for (int r = 0; r < 8; r++)
        {
            const uint32_t a = decode256_u32(row[r] + at + 4), b = decode256_u32(row[r] + at + 8),
                           c = decode256_u32(row[r] + at + 12);
            packed[0][r] = (a & 0x3f3f3f3fu) | (uint64_t)((c & 0x0f0f0f0fu) | ((a >> 2) & 0x30303030u)) << 32;
            packed[1][r] = (b & 0x3f3f3f3fu) | (uint64_t)(((c >> 4) & 0x0f0f0f0fu) | ((b >> 2) & 0x30303030u)) << 32;
            _mm_prefetch((const char *)row[r] + at + ahead, _MM_HINT_T1);
            _mm_prefetch((const char *)row[r] + at + ahead + 64, _MM_HINT_T1);
            _mm_prefetch((const char *)row[r] + at + ahead + 128, _MM_HINT_T1);
        }
        decode256_transpose8(scale, packed[0]);
        decode256_transpose8(min, packed[1]);
        const __m256 d = decode256_halves(row, at, 0), d_min = decode256_halves(row, at, 16);
        DECODE256_UNROLL for (int B = 0; B < 8; B++)
        {
            const size_t g = g0 + (size_t)B;
            __m256i v[8], sum[2];
            DECODE256_UNROLL for (int r = 0; r < 8; r++)
                v[r] = decode256_wide(row[r] + at, BZ_DTYPE_Q4_K, B, in->q + 32 * g);
            decode256_rows_to_lanes(sum, v);
            y = decode256_add(y, _mm256_add_epi32(sum[0], sum[1]), _mm256_mul_ps(d, decode256_unsigned8(scale + 8 * B)),
                              in->d[g]);
            y = _mm256_fnmadd_ps(_mm256_mul_ps(d_min, decode256_unsigned8(min + 8 * B)), _mm256_set1_ps(in->total[g]), y);
        }
    }
    return y;
}

DECODE256_INLINE __m256 decode256_q6_k_rows(__m256 y, const uint8_t *const row[8], const decode256_input *in, size_t ahead)
{
    for (size_t g0 = 0, at = 0; g0 < in->n_groups; g0 += 8, at += 210) {
        uint64_t packed[2][8];
        uint8_t scale[128];
        DECODE256_UNROLL for (int r = 0; r < 8; r++)
        {
            memcpy(&packed[0][r], row[r] + at + 192, 8);
            memcpy(&packed[1][r], row[r] + at + 200, 8);
            DECODE256_UNROLL for (size_t line = 0; line < 256; line += 64)
                _mm_prefetch((const char *)row[r] + at + ahead + line, _MM_HINT_T1);
        }
        decode256_transpose8(scale, packed[0]);
        decode256_transpose8(scale + 64, packed[1]);
        const __m256 d = decode256_halves(row, at + 206, 16);
        DECODE256_UNROLL for (int B = 0; B < 8; B++)
        {
            const size_t g = g0 + (size_t)B;
            __m256i v[8], sum[2];
            DECODE256_UNROLL for (int r = 0; r < 8; r++)
                v[r] = decode256_wide(row[r] + at, BZ_DTYPE_Q6_K, B, in->q + 32 * g);
            decode256_rows_to_lanes(sum, v);
            for (size_t h = 0; h < 2; h++) {
                const __m256i offset = _mm256_set1_epi32(32 * in->sum[2 * g + h]);
                y = decode256_add(y, _mm256_sub_epi32(sum[h], offset),
                                  _mm256_mul_ps(d, decode256_signed8(scale + 8 * (2 * (size_t)B + h))), in->d[g]);
            }
        }
    }
    return y;
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

/* Rows to multiply: n rows from `first` on, or the listed ones. y is indexed by the row's number. */
typedef struct decode256_job {
    float *y;
    const uint8_t *w; /* where the stretch of the position begins in row 0 */
    size_t row_size, first, n;
    const int32_t *list; /* NULL: all */
} decode256_job;

DECODE256_INLINE size_t decode256_number(const decode256_job *job, size_t i)
{
    return job->list ? (size_t)job->list[i] : job->first + i;
}

/* The eight rows from place i on; places past the end do the last one again. Returns how many there are. Asks for listed rows
 * that come next: of a list the kernels cannot know. */
DECODE256_INLINE size_t decode256_choose(const uint8_t *row[DECODE256_ROWS], const decode256_job *job, size_t i, size_t bytes)
{
    const size_t left = job->n - i, rows = left < DECODE256_ROWS ? left : DECODE256_ROWS;
    for (size_t r = 0; r < DECODE256_ROWS; r++) {
        row[r] = job->w + decode256_number(job, i + (r < rows ? r : rows - 1)) * job->row_size;
        if (job->list == NULL || r + DECODE256_ROWS >= left)
            continue;
        const char *next = (const char *)job->w + decode256_number(job, i + DECODE256_ROWS + r) * job->row_size;
        for (size_t line = 0; line < bytes; line += 64)
            _mm_prefetch(next + line, _MM_HINT_T0);
    }
    return rows;
}

DECODE256_INLINE void decode256_rows(const decode256_job *job, const uint32_t dtype, const decode256_input *in)
{
    const size_t ahead = job->list ? 0 : DECODE256_AHEAD * DECODE256_ROWS * job->row_size;
    for (size_t i = 0; i < job->n; i += DECODE256_ROWS) {
        const uint8_t *row[DECODE256_ROWS];
        _Alignas(32) float y[DECODE256_ROWS] = {0};
        const size_t rows = decode256_choose(row, job, i, decode256_bytes(dtype, in->n_groups));
        for (size_t r = 0; in->add && r < rows; r++)
            y[r] = job->y[decode256_number(job, i + r)];
        __m256 sum = _mm256_load_ps(y);
        if (dtype == BZ_DTYPE_Q4_K)
            sum = decode256_q4_k_rows(sum, row, in, ahead);
        else if (dtype == BZ_DTYPE_Q6_K)
            sum = decode256_q6_k_rows(sum, row, in, ahead);
        else
            sum = decode256_narrow_rows(sum, row, dtype, decode256_bytes(dtype, 1), in, ahead);
        _mm256_store_ps(y, sum);
        for (size_t r = 0; r < rows; r++)
            job->y[decode256_number(job, i + r)] = y[r];
    }
}

static void decode256_q8_0(const decode256_job *job, const decode256_input *in)
{
    decode256_rows(job, BZ_DTYPE_Q8_0, in);
}

static void decode256_q5_0(const decode256_job *job, const decode256_input *in)
{
    decode256_rows(job, BZ_DTYPE_Q5_0, in);
}

static void decode256_q4_0(const decode256_job *job, const decode256_input *in)
{
    decode256_rows(job, BZ_DTYPE_Q4_0, in);
}

static void decode256_iq4_nl(const decode256_job *job, const decode256_input *in)
{
    decode256_rows(job, BZ_DTYPE_IQ4_NL, in);
}

static void decode256_q4_k(const decode256_job *job, const decode256_input *in)
{
    decode256_rows(job, BZ_DTYPE_Q4_K, in);
}

static void decode256_q6_k(const decode256_job *job, const decode256_input *in)
{
    decode256_rows(job, BZ_DTYPE_Q6_K, in);
}

typedef void (*decode256_kind)(const decode256_job *job, const decode256_input *in);

static const decode256_kind decode256_kinds[BZ_DTYPE_LIMIT] = {
    [BZ_DTYPE_Q8_0] = decode256_q8_0,     [BZ_DTYPE_Q5_0] = decode256_q5_0, [BZ_DTYPE_Q4_0] = decode256_q4_0,
    [BZ_DTYPE_IQ4_NL] = decode256_iq4_nl, [BZ_DTYPE_Q4_K] = decode256_q4_k, [BZ_DTYPE_Q6_K] = decode256_q6_k,
};

static int decode256_run(decode256_job *job, const void *w, uint32_t dtype, const void *x, size_t K)
{
    decode256_input in;
    if (dtype >= BZ_DTYPE_LIMIT || decode256_kinds[dtype] == NULL)
        return 0;
    const size_t n_groups = K / BZ_QUANT_GROUP;
    job->row_size = bz_quant_row_size(dtype, K);
    for (size_t g = 0, step; g < n_groups && job->n > 0; g += step) {
        step = n_groups - g < DECODE256_CHUNK / 32 ? n_groups - g : DECODE256_CHUNK / 32;
        in.add = g > 0;
        decode256_prepare(&in, bz_activation_row_at(x, 0, 0, K, g), step);
        job->w = (const uint8_t *)w + bz_quant_row_size(dtype, g * BZ_QUANT_GROUP);
        decode256_kinds[dtype](job, &in);
    }
    return 1;
}

int bz_avx2_decode(float *y, const void *w, uint32_t dtype, size_t n_begin, size_t n_end, const void *x, size_t K)
{
    decode256_job job = {.y = y, .first = n_begin, .n = n_begin < n_end ? n_end - n_begin : 0};
    return decode256_run(&job, w, dtype, x, K);
}

int bz_avx2_decode_listed(float *y, const void *w, uint32_t dtype, const int32_t *rows, size_t n_rows, const void *x, size_t K)
{
    decode256_job job = {.y = y, .n = n_rows, .list = rows};
    return decode256_run(&job, w, dtype, x, K);
}
