/* SPDX-License-Identifier: MIT */
/* The one file that knows OpenBLAS. The library is taken as it is found: no environment variable is set, and its answer is
 * checked before it is used. Calls are made from our own workers, one at a time in the whole process. A build that would
 * start threads of its own is left alone: how many it may use is a setting of the whole process, and so the host's. */
#include "compute/blas.h"

#include "base/os.h"

#include <cblas.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

const char *bz_blas_name(void)
{
    return openblas_get_config();
}

void bz_blas_multiply(float *y, const float *w, size_t w_stride, const float *x, size_t x_stride, size_t n_blocks, size_t K,
                      int add)
{
    /* The serial build takes its work buffers from a table without a lock (it is built without USE_LOCKING): two threads
     * at once may get the same buffer and wrong numbers. Measured with 0.3.21: 5 of 160 runs of the matmul suite under load. */
    bz_os_process_lock();
    for (size_t b = 0; b < n_blocks; b++)
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, BZ_BLAS_N, BZ_BLAS_T, (blasint)K, 1.0f, w, (blasint)w_stride,
                    x + b * BZ_BLAS_T * x_stride, (blasint)x_stride, add ? 1.0f : 0.0f, y + b * BZ_BLAS_BLOCK, BZ_BLAS_T);
    bz_os_process_unlock();
}

/* Numbers with signs. `step` 1: small ones, exact in float, so that a sum of 67 products of them is exact in any order;
 * larger steps: with digits that a sum must round. */
static float blas_sample(uint32_t i, uint32_t step)
{
    const int32_t bits = (int32_t)((i * 2654435761u) >> (step == 1 ? 27 : 8)) - (step == 1 ? 16 : 1 << 23);
    return (float)bits * (step == 1 ? 0.25f : 1.1920929e-7f);
}

enum { BLAS_CHECK_K = 256 };

typedef struct blas_trial {
    float w[BZ_BLAS_N * BLAS_CHECK_K], x[BZ_BLAS_T * BLAS_CHECK_K], y[BZ_BLAS_BLOCK];
} blas_trial;

static int blas_is_right(blas_trial *trial, size_t K)
{
    for (uint32_t i = 0; i < BZ_BLAS_N * BLAS_CHECK_K; i++)
        trial->w[i] = blas_sample(i, 1);
    for (uint32_t i = 0; i < BZ_BLAS_T * BLAS_CHECK_K; i++)
        trial->x[i] = blas_sample(i + 77777u, 1);
    for (size_t i = 0; i < BZ_BLAS_BLOCK; i++)
        trial->y[i] = NAN; /* must be overwritten, not scaled */
    bz_blas_multiply(trial->y, trial->w, BLAS_CHECK_K, trial->x, BLAS_CHECK_K, 1, K, 0);
    for (size_t i = 0; i < BZ_BLAS_BLOCK; i++) {
        float sum = 0.0f;
        for (size_t k = 0; k < K; k++)
            sum += trial->w[i / BZ_BLAS_T * BLAS_CHECK_K + k] * trial->x[i % BZ_BLAS_T * BLAS_CHECK_K + k];
        if (!(fabsf(trial->y[i] - sum) <= 1e-4f))
            return 0;
    }
    return 1;
}

/* One row and one position, at every place: all sums must have the same bits, also those added to what is there. */
static int blas_is_even(blas_trial *trial, size_t K)
{
    for (uint32_t i = 0; i < BZ_BLAS_N * BLAS_CHECK_K; i++)
        trial->w[i] = blas_sample(i % BLAS_CHECK_K + 1, 2);
    for (uint32_t i = 0; i < BZ_BLAS_T * BLAS_CHECK_K; i++)
        trial->x[i] = blas_sample(i % BLAS_CHECK_K + 99991u, 2);
    for (int add = 0; add < 2; add++) {
        bz_blas_multiply(trial->y, trial->w, BLAS_CHECK_K, trial->x, BLAS_CHECK_K, 1, K, add);
        for (size_t i = 1; i < BZ_BLAS_BLOCK; i++)
            if (memcmp(&trial->y[i], &trial->y[0], sizeof trial->y[0]) != 0)
                return 0;
    }
    return 1;
}

int bz_blas_check(void)
{
    static const size_t lengths[] = {BLAS_CHECK_K, 67, 32, 7, 1};
    blas_trial trial;
    if (openblas_get_parallel() != OPENBLAS_SEQUENTIAL && openblas_get_num_threads() != 1)
        return 0;
    if (!blas_is_right(&trial, 67))
        return 0;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        if (!blas_is_even(&trial, lengths[i]))
            return 0;
    return 1;
}
