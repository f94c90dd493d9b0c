/* SPDX-License-Identifier: MIT */
/* What the files of the scalar level share: the attention of kernel_attend_ref.c, see kernel.h and key_block.h. */
#ifndef BZ_KERNEL_REF_H
#define BZ_KERNEL_REF_H

#include "base/dtype.h"
#include "compute/key_block.h"

void bz_ref_key_expand(float *out, size_t stride, const void *rows, size_t row_size, uint32_t dtype, size_t D, size_t n);
void bz_ref_key_scores(float *s, const float *q, size_t q_stride, size_t n_rows, const float *k, size_t k_stride, size_t D16,
                       const uint8_t *begin, const uint8_t *end, float scale);
void bz_ref_key_softmax(float *s, bz_key_state *state, size_t r, size_t n_rows, const uint8_t *begin, const uint8_t *end);
void bz_ref_key_mix(float *o, size_t o_stride, const float *p, size_t n_rows, const float *v, size_t v_stride, size_t D16,
                    const uint8_t *begin, const uint8_t *end, const float *a, const float *b);
void bz_ref_key_join(float *into, const float *part, size_t stride, size_t n_rows, size_t D16);

#endif
