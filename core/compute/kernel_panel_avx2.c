/* SPDX-License-Identifier: MIT */
/* AVX2 level: sixteen rows of weights unpacked to a panel (see kernel_panel_avx2.h); AVX-512 and AMX use it as well. */
#include "compute/kernel_panel_avx2.h"

#include "base/dtype.h"
#include "compute/kernel_avx2.h"
#include "compute/kernel_unpack_avx2.h"
#include "compute/quant.h"

#include <immintrin.h>
#include <string.h>

#define PANEL_INLINE static inline __attribute__((always_inline))
#if defined(__clang__)
#define PANEL_UNROLL _Pragma("clang loop unroll(full)")
#else
#define PANEL_UNROLL _Pragma("GCC unroll 16")
#endif

/* One group of 8 rows, a[r], as pairs side by side; a is used up. */
PANEL_INLINE void panel_interleave(int16_t *w, __m256i a[8])
{
    __m256i b[8];
    PANEL_UNROLL for (int r = 0; r < 8; r += 2)
    {
        b[r] = _mm256_unpacklo_epi16(a[r], a[r + 1]);
        b[r + 1] = _mm256_unpackhi_epi16(a[r], a[r + 1]);
    }
    PANEL_UNROLL for (int r = 0; r < 8; r += 4)
    {
        a[r] = _mm256_unpacklo_epi32(b[r], b[r + 2]);
        a[r + 1] = _mm256_unpackhi_epi32(b[r], b[r + 2]);
        a[r + 2] = _mm256_unpacklo_epi32(b[r + 1], b[r + 3]);
        a[r + 3] = _mm256_unpackhi_epi32(b[r + 1], b[r + 3]);
    }
    __m256i *out = (__m256i *)(void *)w; /* two vectors a pair, one of them for these rows */
    PANEL_UNROLL for (int r = 0; r < 4; r++)
    {
        const __m256i even = _mm256_unpacklo_epi64(a[r], a[r + 4]), odd = _mm256_unpackhi_epi64(a[r], a[r + 4]);
        _mm256_store_si256(out + 4 * r, _mm256_cvtepi8_epi16(_mm256_castsi256_si128(even)));
        _mm256_store_si256(out + 4 * r + 2, _mm256_cvtepi8_epi16(_mm256_castsi256_si128(odd)));
        _mm256_store_si256(out + 4 * r + 16, _mm256_cvtepi8_epi16(_mm256_extracti128_si256(even, 1)));
        _mm256_store_si256(out + 4 * r + 18, _mm256_cvtepi8_epi16(_mm256_extracti128_si256(odd, 1)));
    }
}

/* n floats of each of 8 rows, side by side. n is rounded up to 8. */
PANEL_INLINE void panel_transpose(float (*out)[BZ_PANEL_ROWS], float (*rows)[BZ_PANEL_CHUNK / 16], size_t n)
{
    for (size_t i = 0; i < n; i += 8) {
        __m256 a[8], b[8];
        PANEL_UNROLL for (int r = 0; r < 8; r++) a[r] = _mm256_load_ps(rows[r] + i);
        PANEL_UNROLL for (int r = 0; r < 8; r += 2)
        {
            b[r] = _mm256_unpacklo_ps(a[r], a[r + 1]);
            b[r + 1] = _mm256_unpackhi_ps(a[r], a[r + 1]);
        }
        PANEL_UNROLL for (int r = 0; r < 8; r += 4)
        {
            a[r] = _mm256_shuffle_ps(b[r], b[r + 2], 0x44);
            a[r + 1] = _mm256_shuffle_ps(b[r], b[r + 2], 0xee);
            a[r + 2] = _mm256_shuffle_ps(b[r + 1], b[r + 3], 0x44);
            a[r + 3] = _mm256_shuffle_ps(b[r + 1], b[r + 3], 0xee);
        }
        PANEL_UNROLL for (int r = 0; r < 4; r++)
        {
            _mm256_store_ps(out[i + (size_t)r], _mm256_permute2f128_ps(a[r], a[r + 4], 0x20));
            _mm256_store_ps(out[i + (size_t)r + 4], _mm256_permute2f128_ps(a[r], a[r + 4], 0x31));
        }
    }
}

/* One group of 8 rows, a[r], as quads side by side; a is used up. */
PANEL_INLINE void panel_interleave_bytes(int8_t (*w)[BZ_PANEL_ROWS][4], __m256i a[8])
{
    __m256i b[8];
    PANEL_UNROLL for (int r = 0; r < 8; r += 2)
    {
        b[r] = _mm256_unpacklo_epi32(a[r], a[r + 1]);
        b[r + 1] = _mm256_unpackhi_epi32(a[r], a[r + 1]);
    }
    PANEL_UNROLL for (int r = 0; r < 8; r += 4)
    {
        a[r] = _mm256_unpacklo_epi64(b[r], b[r + 2]);
        a[r + 1] = _mm256_unpackhi_epi64(b[r], b[r + 2]);
        a[r + 2] = _mm256_unpacklo_epi64(b[r + 1], b[r + 3]);
        a[r + 3] = _mm256_unpackhi_epi64(b[r + 1], b[r + 3]);
    }
    PANEL_UNROLL for (int r = 0; r < 4; r++)
    {
        _mm256_store_si256((__m256i *)(void *)w[r], _mm256_permute2x128_si256(a[r], a[r + 4], 0x20));
        _mm256_store_si256((__m256i *)(void *)w[r + 4], _mm256_permute2x128_si256(a[r], a[r + 4], 0x31));
    }
}

typedef struct panel_rows { /* eight rows unpacked */
    _Alignas(32) int8_t bytes[8][BZ_PANEL_CHUNK_BYTES];
    _Alignas(32) float d[8][BZ_PANEL_CHUNK / 16], m[8][BZ_PANEL_CHUNK / 16];
} panel_rows;

/* Eight rows from w on, of which the first `rows` exist; the others become zero. Scales go to the panel from lane `first` on. */
PANEL_INLINE void panel_unpack(panel_rows *u, bz_panel *panel, const char *w, size_t row_size, uint32_t dtype, size_t rows,
                               size_t g, size_t first)
{
    const size_t parts = panel->n_groups * (BZ_QUANT_GROUP / bz_quant_part(dtype));
    for (size_t r = 0; r < 8; r++) {
        if (r < rows) {
            bz_avx2_unpack(u->bytes[r], u->d[r], u->m[r], w + r * row_size, dtype, g, panel->n_groups);
        } else {
            memset(u->bytes[r], 0, panel->n_groups * BZ_QUANT_GROUP);
            memset(u->d[r], 0, parts * sizeof u->d[r][0]);
            memset(u->m[r], 0, parts * sizeof u->m[r][0]);
        }
    }
    panel_transpose((float(*)[BZ_PANEL_ROWS])(void *)(panel->d[0] + first), u->d, parts);
    if (bz_quant_has_min(dtype))
        panel_transpose((float(*)[BZ_PANEL_ROWS])(void *)(panel->m[0] + first), u->m, parts);
}

PANEL_INLINE void panel_group(__m256i group[8], const panel_rows *u, size_t i)
{
    PANEL_UNROLL for (size_t r = 0; r < 8; r++)
        group[r] = _mm256_loadu_si256((const __m256i *)(const void *)(u->bytes[r] + i * BZ_QUANT_GROUP));
}

/* A block of 32 that begins with its scale. */
PANEL_INLINE __m256i panel_block(const uint8_t *p, const uint32_t dtype)
{
    if (dtype == BZ_DTYPE_Q8_0)
        return _mm256_loadu_si256((const __m256i *)(const void *)(p + 2));
    if (dtype == BZ_DTYPE_Q4_0)
        return _mm256_sub_epi8(bz_avx2_nibbles(p + 2), _mm256_set1_epi8(8));
    const __m256i off = _mm256_andnot_si256(bz_avx2_bits(p + 2), _mm256_set1_epi8(-16)); /* where the fifth bit is clear */
    return _mm256_or_si256(bz_avx2_nibbles(p + 6), off);
}

/* Eight whole rows, blocks of `size` bytes, straight to pairs or quads; asks for the rows of the next panel. */
PANEL_INLINE void panel_take_rows(bz_panel *panel, const uint8_t *w, size_t row_size, const uint32_t dtype, const size_t size,
                                  size_t g, size_t first, const int as_bytes)
{
    bz_panel_bytes *w8 = (bz_panel_bytes *)(void *)panel->w;
    for (size_t i = 0; i < panel->n_groups; i++) {
        const uint8_t *block = w + (g + i) * size;
        __m128i v[8];
        __m256i rows[8];
        PANEL_UNROLL for (size_t r = 0; r < 8; r++)
        {
            uint16_t half;
            memcpy(&half, block + r * row_size, sizeof half);
            v[r] = _mm_cvtsi32_si128(half);
            rows[r] = panel_block(block + r * row_size, dtype);
            _mm_prefetch((const char *)block + (r + BZ_PANEL_ROWS) * row_size, _MM_HINT_T1);
        }
        const __m128i low = _mm_unpacklo_epi32(_mm_unpacklo_epi16(v[0], v[1]), _mm_unpacklo_epi16(v[2], v[3]));
        const __m128i high = _mm_unpacklo_epi32(_mm_unpacklo_epi16(v[4], v[5]), _mm_unpacklo_epi16(v[6], v[7]));
        _mm256_store_ps(panel->d[i] + first, _mm256_cvtph_ps(_mm_unpacklo_epi64(low, high)));
        if (as_bytes)
            panel_interleave_bytes((int8_t(*)[BZ_PANEL_ROWS][4])(void *)(*w8)[i][0][first], rows);
        else
            panel_interleave(panel->w[16 * i][first], rows);
    }
}

/* Returns 0 for a type of other blocks. */
PANEL_INLINE int panel_take(bz_panel *panel, const char *w, size_t row_size, uint32_t dtype, size_t g, size_t first,
                            const int as_bytes)
{
    const uint8_t *p = (const uint8_t *)w + first * row_size;
    if (dtype == BZ_DTYPE_Q8_0)
        panel_take_rows(panel, p, row_size, BZ_DTYPE_Q8_0, 34, g, first, as_bytes);
    else if (dtype == BZ_DTYPE_Q5_0)
        panel_take_rows(panel, p, row_size, BZ_DTYPE_Q5_0, 22, g, first, as_bytes);
    else if (dtype == BZ_DTYPE_Q4_0)
        panel_take_rows(panel, p, row_size, BZ_DTYPE_Q4_0, 18, g, first, as_bytes);
    else
        return 0;
    return 1;
}

void bz_avx2_panel_fill(bz_panel *panel, const char *w, size_t row_size, uint32_t dtype, size_t rows, size_t g)
{
    panel_rows u;
    for (size_t first = 0; first < BZ_PANEL_ROWS; first += 8) {
        if (rows >= first + 8 && panel_take(panel, w, row_size, dtype, g, first, 0))
            continue;
        panel_unpack(&u, panel, w + first * row_size, row_size, dtype, rows < first ? 0 : rows - first, g, first);
        for (size_t i = 0; i < panel->n_groups; i++) {
            __m256i group[8];
            panel_group(group, &u, i);
            panel_interleave(panel->w[16 * i][first], group);
        }
    }
}

void bz_avx2_panel_fill_bytes(bz_panel *panel, const char *w, size_t row_size, uint32_t dtype, size_t rows, size_t g)
{
    panel_rows u;
    bz_panel_bytes *w8 = (bz_panel_bytes *)(void *)panel->w;
    for (size_t first = 0; first < BZ_PANEL_ROWS; first += 8) {
        if (rows >= first + 8 && panel_take(panel, w, row_size, dtype, g, first, 1))
            continue;
        panel_unpack(&u, panel, w + first * row_size, row_size, dtype, rows < first ? 0 : rows - first, g, first);
        for (size_t i = 0; i < panel->n_groups; i++) {
            __m256i group[8];
            panel_group(group, &u, i);
            panel_interleave_bytes((int8_t(*)[BZ_PANEL_ROWS][4])(void *)(*w8)[i][0][first], group);
        }
    }
}
