/* SPDX-License-Identifier: MIT */
/* The one file that knows OpenBLAS. The library is taken as it is found: no environment variable is set, and its answer is
 * checked before it is used. Calls are made from our own workers, one at a time in the whole process. A build that would
 * start threads of its own is left alone: how many it may use is a setting of the whole process, and so the host's. */
#include "compute/blas.h"

#include "base/os.h"

#include <cblas.h>
#include <math.h>
#include <stdint.h>

const char *bz_blas_name(void)
{
    return openblas_get_config();
}

void bz_blas_multiply(float *y, size_t y_stride, const float *w, size_t w_stride, size_t N, const float *x, size_t x_stride,
                      size_t T, size_t K, int add)
{
    /* The serial build takes its work buffers from a table without a lock (it is built without USE_LOCKING): two threads
     * at once may get the same buffer and wrong numbers. Measured with 0.3.21: 5 of 160 runs of the matmul suite under load. */
    bz_os_process_lock();
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)T, (blasint)N, (blasint)K, 1.0f, x, (blasint)x_stride, w,
                (blasint)w_stride, add ? 1.0f : 0.0f, y, (blasint)y_stride);
    bz_os_process_unlock();
}

/* Small numbers with signs, exact in float: a sum of 67 products of them is exact in any order. */
static float blas_sample(uint32_t i)
{
    return (float)((int32_t)((i * 2654435761u) >> 27) - 16) * 0.25f;
}

int bz_blas_check(void)
{
    enum { N = 29, T = 19, K = 67, STRIDE = 71 };
    float w[N * STRIDE], x[T * STRIDE], y[T * STRIDE];
    if (openblas_get_parallel() != OPENBLAS_SEQUENTIAL && openblas_get_num_threads() != 1)
        return 0;
    for (uint32_t i = 0; i < N * STRIDE; i++)
        w[i] = blas_sample(i);
    for (uint32_t i = 0; i < T * STRIDE; i++) {
        x[i] = blas_sample(i + 77777u);
        y[i] = NAN; /* must be overwritten, not scaled */
    }
    bz_blas_multiply(y, STRIDE, w, STRIDE, N, x, STRIDE, T, K, 0);
    for (int t = 0; t < T; t++) {
        for (int n = 0; n < N; n++) {
            float sum = 0.0f;
            for (int k = 0; k < K; k++)
                sum += w[n * STRIDE + k] * x[t * STRIDE + k];
            if (!(fabsf(y[t * STRIDE + n] - sum) <= 1e-4f))
                return 0;
        }
    }
    return 1;
}
