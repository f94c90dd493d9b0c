/* SPDX-License-Identifier: MIT */
/* Kernels of training for AVX2: the plain C of kernel_train.h with this file's instruction set. */
#include "compute/kernel_train.h"

const bz_train_kernel bz_train_kernel_avx2 = TRAIN_TABLE(NULL);
