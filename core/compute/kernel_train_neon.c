/* SPDX-License-Identifier: MIT */
/* Kernels of training for NEON: the plain C of kernel_train.h with this file's instruction set. */
#include "compute/kernel_train.h"

const bz_train_kernel bz_train_kernel_neon = TRAIN_TABLE(NULL);
