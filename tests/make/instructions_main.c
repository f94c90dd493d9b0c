/* SPDX-License-Identifier: MIT */
/* Runs each kernel that decoding and prompts spend their time in once, on fixed data, for run_instructions.sh to count its
 * instructions. The counts do not depend on the machine's speed or load, so a few per cent are seen.
 * Does not: check answers (the kernel suite does), or run levels that valgrind cannot. */
#include <bezel/engine.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "compute/activation.h"
#include "compute/cpu_features.h"
#include "compute/kernel.h"
#include "compute/packed.h"
#include "compute/quant.h"

enum { K = 1024, N = 64, T = 12, CANNOT = 77 };

typedef struct bench {
    const bz_kernel *kernel;
    uint8_t *w, *panels;
    float *x, *y;
    char *q8;
    size_t q8_size;
} bench;

static void fill_weights(bench *b, uint32_t dtype)
{
    bz_rng rng;
    float row[K];
    bz_rng_seed(&rng, dtype);
    for (size_t n = 0; n < N; n++) {
        for (size_t k = 0; k < K; k++)
            row[k] = (float)bz_rng_unit(&rng) - 0.5f;
        bz_quant_encode(b->w + n * bz_quant_row_size(dtype, K), row, dtype, K);
    }
}

static void fill_panels(bench *b, uint32_t dtype)
{
    const size_t row = bz_quant_row_size(dtype, K), panel = bz_packed_panel_size(dtype, K);
    for (size_t n = 0; n < N; n += BZ_PACKED_ROWS)
        bz_packed_fill(b->panels + n / BZ_PACKED_ROWS * panel, b->w + n * row, row, dtype, K);
}

/* A function a case, so that the counts have names. */
#define CASE(name) static __attribute__((noinline)) void count_##name(bench *b)

CASE(quantize)
{
    for (size_t t = 0; t < T; t++)
        b->kernel->q8_quantize(b->q8 + t * b->q8_size, b->x + t * K, K);
}

#define PRODUCTS(name, dtype)                                                                       \
    CASE(decode_##name)                                                                             \
    {                                                                                               \
        b->kernel->matmul_q8(b->y, N, b->w, dtype, 0, N, b->q8, b->q8_size, 1, K);                  \
    }                                                                                               \
    CASE(prompt_##name)                                                                             \
    {                                                                                               \
        b->kernel->matmul_q8(b->y, N, b->w, dtype, 0, N, b->q8, b->q8_size, T, K);                  \
    }                                                                                               \
    static void run_##name(bench *b)                                                                \
    {                                                                                               \
        fill_weights(b, dtype);                                                                     \
        count_decode_##name(b);                                                                     \
        count_prompt_##name(b);                                                                     \
    }

PRODUCTS(q8_0, BZ_DTYPE_Q8_0)
PRODUCTS(q5_0, BZ_DTYPE_Q5_0)
PRODUCTS(q4_0, BZ_DTYPE_Q4_0)
PRODUCTS(q4_k, BZ_DTYPE_Q4_K)
PRODUCTS(q6_k, BZ_DTYPE_Q6_K)
PRODUCTS(q2_k, BZ_DTYPE_Q2_K)

#define PACKED(name, dtype)                                                                           \
    CASE(packed_##name)                                                                             \
    {                                                                                               \
        b->kernel->matmul_packed(b->y, N, b->panels, dtype, 0, N, b->q8, b->q8_size, 1, K);         \
    }                                                                                               \
    CASE(packed_two_##name)                                                                         \
    {                                                                                               \
        b->kernel->matmul_packed(b->y, N, b->panels, dtype, 0, N, b->q8, b->q8_size, 2, K);         \
    }                                                                                               \
    static void run_packed_##name(bench *b)                                                         \
    {                                                                                               \
        fill_weights(b, dtype);                                                                     \
        fill_panels(b, dtype);                                                                      \
        count_packed_##name(b);                                                                     \
        count_packed_two_##name(b);                                                                 \
    }

PACKED(q8_0, BZ_DTYPE_Q8_0)
PACKED(q5_0, BZ_DTYPE_Q5_0)
PACKED(q4_0, BZ_DTYPE_Q4_0)
PACKED(q4_k, BZ_DTYPE_Q4_K)
PACKED(q6_k, BZ_DTYPE_Q6_K)

static void run_packed(bench *b)
{
    if (b->kernel->matmul_packed == NULL)
        return;
    run_packed_q8_0(b);
    run_packed_q5_0(b);
    run_packed_q4_0(b);
    run_packed_q4_k(b);
    run_packed_q6_k(b);
}

CASE(floats_bf16)
{
    b->kernel->matmul_f32(b->y, N, b->w, BZ_DTYPE_BF16, 0, N, b->x, K, T, K);
}

CASE(rms_norm)
{
    b->kernel->rms_norm(b->y, b->x, b->x + K, K, 1e-6f);
}

CASE(geglu)
{
    b->kernel->geglu(b->y, b->x, b->x + K, K);
}

int main(int argc, char **argv)
{
    const bz_kernel *kernel = &bz_kernel_ref;
    bz_rng rng;
#if defined(__x86_64__)
    if (argc > 1 && strcmp(argv[1], "avx2") == 0)
        kernel = &bz_kernel_avx2;
#endif
    if (argc != 2 || strcmp(kernel->name, argv[1]) != 0 || !bz_cpu_can(kernel->isa))
        return CANNOT;
    bench b = {.kernel = kernel, .w = malloc(N * K * 4), .panels = malloc(N * K * 2), .x = malloc(T * K * sizeof(float)), .y = malloc(T * K * sizeof(float))};
    b.q8_size = kernel->q8_row_size(K);
    b.q8 = aligned_alloc(64, T * b.q8_size);
    if (b.w == NULL || b.panels == NULL || b.x == NULL || b.y == NULL || b.q8 == NULL)
        return EXIT_FAILURE;
    bz_rng_seed(&rng, 1);
    for (size_t i = 0; i < T * K; i++)
        b.x[i] = (float)bz_rng_unit(&rng) - 0.5f;
    count_quantize(&b);
    run_q8_0(&b);
    run_q5_0(&b);
    run_q4_0(&b);
    run_q4_k(&b);
    run_q6_k(&b);
    run_q2_k(&b);
    run_packed(&b);
    fill_weights(&b, BZ_DTYPE_BF16);
    count_floats_bf16(&b);
    count_rms_norm(&b);
    count_geglu(&b);
    free(b.w);
    free(b.panels);
    free(b.x);
    free(b.y);
    free(b.q8);
    return EXIT_SUCCESS;
}
