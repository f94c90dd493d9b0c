/* SPDX-License-Identifier: MIT */
/* Kernels of training for the scalar level: the plain C of kernel_train.h with this file's instruction set. */
#include "compute/kernel_train.h"

const bz_train_kernel bz_train_kernel_ref = TRAIN_TABLE(NULL);
