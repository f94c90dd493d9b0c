/* SPDX-License-Identifier: MIT */
/* Kernels of training for AVX-512: the plain C of kernel_train.h with this file's instruction set. */
#include "compute/kernel_train.h"

#include "compute/kernel_avx512.h"

const bz_train_kernel bz_train_kernel_avx512 = TRAIN_TABLE(bz_avx512_product_pairs);
