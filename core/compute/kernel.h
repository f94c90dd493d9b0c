/* SPDX-License-Identifier: MIT */
/* The table of kernels, one per instruction set, chosen once per engine. kernel_ref is the scalar oracle of the others.
 *
 * Letters: N rows of a weight, K columns (row length), T positions. Weights are rows of blocks as the file has them.
 * Kernels get ranges, never threads; they do not allocate; results do not depend on how rows are split, nor on T. */
#ifndef BZ_KERNEL_H
#define BZ_KERNEL_H

#include "base/dtype.h"
#include "compute/key_block.h"
#include "compute/screen.h"
#include "compute/train_kernel.h"

#include <stddef.h>
#include <stdint.h>

/* The rows that `q8` functions take are activations of one position as integers, 16 bits each with a scale a group of 32:
 * see compute/activation.h for the layout and why it is not 8 bits. All levels make the same bits. */
typedef struct bz_kernel {
    const char *name;
    uint32_t isa; /* BEZEL_ISA_... */

    /* Bytes of one row of K integer activations (multiple of 64). K is a multiple of 32. */
    size_t (*q8_row_size)(size_t K);
    /* x [K] f32 -> out, one row. */
    void (*q8_quantize)(void *out, const float *x, size_t K);

    /* y[t*y_stride + n] = dot(w row n, x row t) for n in [n_begin, n_end), t in [0, T).
     *   w        rows of `dtype`, row n at w + n*row_bytes (row_bytes = K / block * block_size)
     *   x        T rows of integer activations, x_stride bytes apart
     * Returns 0 when dtype has no such kernel: F32, F16, BF16 (the caller then takes the float path). An empty range only
     * asks for that answer and looks at no pointer. */
    int (*matmul_q8)(float *y, size_t y_stride, const void *w, uint32_t dtype, size_t n_begin, size_t n_end,
                     const void *x, size_t x_stride, size_t T, size_t K);
    /* y[rows[i]] of the listed rows for one position. Returns 0 when dtype has no such kernel, as matmul_q8 does; NULL when no
     * type has: then one asks for the rows singly. */
    int (*matmul_q8_listed)(float *y, const void *w, uint32_t dtype, const int32_t *rows, size_t n_rows, const void *x, size_t K);
    /* matmul_q8 from the panels of all rows (compute/packed.h); n_begin and n_end are multiples of BZ_PACKED_ROWS, any T.
     * Returns 0 when dtype has no such form. NULL: none has. */
    int (*matmul_packed)(float *y, size_t y_stride, const uint8_t *panels, uint32_t dtype, size_t n_begin, size_t n_end,
                         const void *x, size_t x_stride, size_t T, size_t K);
    size_t packed_most; /* T up to which it is the faster one */
    /* matmul_q8 with float activations: x [T, K] f32, rows x_stride floats apart. Every readable dtype. */
    void (*matmul_f32)(float *y, size_t y_stride, const void *w, uint32_t dtype, size_t n_begin, size_t n_end,
                       const float *x, size_t x_stride, size_t T, size_t K);

    /* y[t * y_stride + n] += sum over k of x[t * x_row + k * x_column] * w[k * w_stride + n]: all floats, every sum from y on,
     * a fused step a k, upwards. So it is bit-exact on every level and for any cut of t, k and n. y lies apart from the rest. */
    void (*product)(float *y, size_t y_stride, const float *x, size_t x_row, size_t x_column, const float *w, size_t w_stride,
                    size_t T, size_t K, size_t N);

    const bz_train_kernel *train; /* of training */

    /* One row of K elements to float. Bit-exact on every level. */
    void (*dequantize)(float *out, const void *row, uint32_t dtype, size_t K);

    /* out[i] = x[i] / sqrt(mean(x^2) + eps) * w[i]; out may be x. */
    void (*rms_norm)(float *out, const float *x, const float *w, size_t n, float eps);
    /* out[i] = gelu_tanh(gate[i]) * up[i]; out may be gate. */
    void (*geglu)(float *out, const float *gate, const float *up, size_t n);
    /* x[i] += y[i] */
    void (*add)(float *x, const float *y, size_t n);
    /* Half-split rotation in place, x [D], cos and sin [D/2]. */
    void (*rope)(float *x, const float *cos_table, const float *sin_table, size_t D);

    /* Attention by blocks of BZ_KEY_BLOCK keys; compute/key_block.h says in which order all sums are taken. Bit-exact on
     * every level. D16 is D rounded up to 16, all float rows have so many elements, zero beyond D; their strides are
     * floats. begin[r], end[r]: the keys of the block that row r sees, upwards in r, never none. */
    /* n rows of a cache as floats. */
    void (*key_expand)(float *out, size_t stride, const void *rows, size_t row_size, uint32_t dtype, size_t D, size_t n);
    /* s[r * BZ_KEY_BLOCK + j] = scale * dot(q row r, k row j) for the keys that a row sees; elsewhere anything. */
    void (*key_scores)(float *s, const float *q, size_t q_stride, size_t n_rows, const float *k, size_t k_stride,
                       size_t D16, const uint8_t *begin, const uint8_t *end, float scale);
    /* Scores to weights, 0 for keys not seen; rows r .. r + n_rows - 1 of the state take the block in. */
    void (*key_softmax)(float *s, bz_key_state *state, size_t r, size_t n_rows, const uint8_t *begin, const uint8_t *end);
    /* o row r = fma(o, a[r], b[r] * sum of p[r * BZ_KEY_BLOCK + j] * v row j). */
    void (*key_mix)(float *o, size_t o_stride, const float *p, size_t n_rows, const float *v, size_t v_stride, size_t D16,
                    const uint8_t *begin, const uint8_t *end, const float *a, const float *b);
    /* Joins two parts (rows of m, l and from BZ_KEY_PART_HEAD on o), into their first. */
    void (*key_join)(float *into, const float *part, size_t stride, size_t n_rows, size_t D16);

    void (*f32_to_f16)(uint16_t *out, const float *x, size_t n); /* round to nearest even */

    /* Upper bounds of rows from the coarse output matrix; see compute/screen.h. Bit-exact on every level. */
    void (*screen)(float *high, const uint8_t *blocks, size_t n_blocks, const bz_screen_query *q);
} bz_kernel;

/* The table of exactly this level, AUTO: of the best one; NULL when it is not built in or the machine cannot run it. */
const bz_kernel *bz_kernel_find(uint32_t isa);
/* What AUTO means on this machine. */
uint32_t bz_kernel_best_isa(void);
int bz_kernel_has(uint32_t isa); /* built in and runnable here */

extern const bz_kernel bz_kernel_ref;
extern const bz_kernel bz_kernel_avx2;
extern const bz_kernel bz_kernel_avx2_vnni; /* the same level where bz_cpu_has_avx_vnni */
extern const bz_kernel bz_kernel_avx512;
extern const bz_kernel bz_kernel_amx;
extern const bz_kernel bz_kernel_neon;
extern const bz_kernel bz_kernel_neon_dotprod; /* the same level where bz_cpu_has_dotprod */

#endif
