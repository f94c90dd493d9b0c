/* SPDX-License-Identifier: MIT */
/* Spreads products of weights and activations over the pool. Two ways: integer activations where the caller gave scratch
 * for them and the type has groups, else floats; of these OpenBLAS takes the prompt positions over unquantised weights, in
 * blocks of one shape that are filled up with zeros (blas.h).
 * Invariant: a value depends on its row, its position and the position's way alone. It allocates nothing. */
#include "compute/matmul.h"

#include <bezel/engine.h>

#include "compute/activation.h"
#include "compute/blas.h"
#include "compute/packed.h"
#include "compute/quant.h"

#include <string.h>

enum {
    BLAS_WIDTH = 256,      /* columns of a panel of widened weights: 48 KiB of stack */
    BLAS_GROUP = 16,       /* blocks of positions that a panel is widened for: 24 KiB of sums */
    MATMUL_ALIGN_ROWS = 16, /* rows that the fast kernels take at a time */
    MATMUL_SHARES = 4      /* pieces a thread in prompts, so that one delayed thread does not hold up the join */
};

size_t bz_tensor_row_size(const bz_tensor *t)
{
    return bz_quant_row_size(t->dtype, t->K);
}

void bz_activations_set(bz_activations *a, const float *x, size_t x_stride, size_t T, size_t K, void *q8)
{
    a->x = x;
    a->x_stride = x_stride;
    a->T = T;
    a->K = K;
    a->q8 = q8;
    a->q8_ready = 0;
    a->prompts = NULL;
}

/* ---- integer activations ---------------------------------------------------------------------------------------------- */

typedef struct matmul_quantize {
    const bz_kernel *kernel;
    const bz_activations *a;
} matmul_quantize;

static void matmul_quantize_rows(void *ctx, size_t begin, size_t end, unsigned worker)
{
    const matmul_quantize *job = ctx;
    const bz_activations *a = job->a;
    const size_t size = job->kernel->q8_row_size(a->K);
    (void)worker;
    for (size_t t = begin; t < end; t++)
        job->kernel->q8_quantize((char *)a->q8 + t * size, a->x + t * a->x_stride, a->K);
}

static void matmul_fill_q8(bezel_engine *engine, bz_activations *a)
{
    matmul_quantize job = {engine->kernel, a};
    if (a->q8_ready)
        return;
    if (a->T < 16) /* a fork costs more than the loop */
        matmul_quantize_rows(&job, 0, a->T, 0);
    else
        bz_thread_pool_run(engine->pool, a->T, 8, matmul_quantize_rows, &job);
    a->q8_ready = 1;
}

/* ---- one range of rows ------------------------------------------------------------------------------------------------ */

typedef struct matmul_job {
    bezel_engine *engine;
    const bz_activations *a;
    const bz_matmul_part *parts;
    size_t n_parts;
    size_t begin; /* first row of parts[0]; the rows of all parts are numbered from there */
} matmul_job;

static int matmul_takes_q8(const bezel_engine *engine, const bz_tensor *w, const bz_activations *a)
{
    const size_t size = engine->kernel->q8_row_size(a->K);
    /* an empty range only asks whether the kernel exists */
    return a->q8 != NULL && a->K % 32 == 0 &&
           engine->kernel->matmul_q8(NULL, 0, w->data, w->dtype, 0, 0, a->q8, size, 0, a->K);
}

static int matmul_takes_blas(const bezel_engine *engine, const bz_tensor *w, const bz_activations *a)
{
    return a->prompts != NULL && engine->blas_ok && engine->kernel->isa != BEZEL_ISA_SCALAR && !bz_quant_has_groups(w->dtype);
}

/* Sums of `rows` <= BZ_BLAS_N rows from n on with T <= BLAS_GROUP * BZ_BLAS_T positions from t on. F32 weights are copied as
 * well: a panel in cache is what the library makes of them anyway. */
static void matmul_blas_group(const matmul_job *job, const bz_matmul_part *part, size_t n, size_t rows, size_t t, size_t T)
{
    float panel[BZ_BLAS_N * BLAS_WIDTH], sums[BLAS_GROUP * BZ_BLAS_BLOCK], last[BZ_BLAS_T * BLAS_WIDTH];
    const bz_activations *a = job->a;
    const bz_tensor *w = part->w;
    const size_t row_size = bz_tensor_row_size(w), element = row_size / w->K;
    const size_t full = T / BZ_BLAS_T, rest = T % BZ_BLAS_T;
    memset(panel + rows * BLAS_WIDTH, 0, (BZ_BLAS_N - rows) * BLAS_WIDTH * sizeof *panel);
    memset(last, 0, sizeof last);
    for (size_t k = 0; k < a->K; k += BLAS_WIDTH) {
        const size_t columns = a->K - k < BLAS_WIDTH ? a->K - k : BLAS_WIDTH;
        const float *x = a->x + t * a->x_stride + k;
        for (size_t r = 0; r < rows; r++)
            job->engine->kernel->dequantize(panel + r * BLAS_WIDTH,
                                            (const char *)w->data + (n + r) * row_size + k * element, w->dtype, columns);
        for (size_t r = 0; r < rest; r++)
            memcpy(last + r * BLAS_WIDTH, x + (full * BZ_BLAS_T + r) * a->x_stride, columns * sizeof *x);
        bz_blas_multiply(sums, panel, BLAS_WIDTH, x, a->x_stride, full, columns, k > 0);
        bz_blas_multiply(sums + full * BZ_BLAS_BLOCK, panel, BLAS_WIDTH, last, BLAS_WIDTH, rest > 0, columns, k > 0);
    }
    for (size_t i = 0; i < T; i++)
        for (size_t r = 0; r < rows; r++)
            part->y[(t + i) * part->y_stride + n + r] = sums[i / BZ_BLAS_T * BZ_BLAS_BLOCK + r * BZ_BLAS_T + i % BZ_BLAS_T];
}

static void matmul_blas_rows(const matmul_job *job, const bz_matmul_part *part, size_t begin, size_t end, size_t t, size_t T)
{
    const size_t most = (size_t)BLAS_GROUP * BZ_BLAS_T;
    for (size_t n = begin; n < end; n += BZ_BLAS_N)
        for (size_t i = 0; i < T; i += most)
            matmul_blas_group(job, part, n, end - n < BZ_BLAS_N ? end - n : BZ_BLAS_N, t + i, T - i < most ? T - i : most);
}

/* Runs of positions of one way, each on it. */
static void matmul_float_rows(const matmul_job *job, const bz_matmul_part *part, size_t begin, size_t end)
{
    const bz_activations *a = job->a;
    const bz_tensor *w = part->w;
    const int any_blas = matmul_takes_blas(job->engine, w, a);
    for (size_t t = 0, T; t < a->T; t += T) {
        const int is_prompt = any_blas && a->prompts[t];
        for (T = any_blas ? 1 : a->T; t + T < a->T && a->prompts[t + T] == a->prompts[t];)
            T++;
        if (is_prompt)
            matmul_blas_rows(job, part, begin, end, t, T);
        else
            job->engine->kernel->matmul_f32(part->y + t * part->y_stride, part->y_stride, w->data, w->dtype, begin, end,
                                            a->x + t * a->x_stride, a->x_stride, T, a->K);
    }
}

/* Panels of whole numbers of rows, few positions. */
static int matmul_takes_panels(const matmul_job *job, const bz_matmul_part *part, size_t begin, size_t end)
{
    const bz_kernel *kernel = job->engine->kernel;
    return part->panels != NULL && kernel->matmul_packed != NULL && job->a->T <= kernel->packed_most &&
           begin % BZ_PACKED_ROWS == 0 && end % BZ_PACKED_ROWS == 0;
}

static void matmul_part_rows(const matmul_job *job, const bz_matmul_part *part, size_t begin, size_t end)
{
    const bz_kernel *kernel = job->engine->kernel;
    const bz_activations *a = job->a;
    const bz_tensor *w = part->w;
    const int takes_q8 = matmul_takes_q8(job->engine, w, a);
    if (takes_q8 && matmul_takes_panels(job, part, begin, end) &&
        kernel->matmul_packed(part->y, part->y_stride, part->panels, w->dtype, begin, end, a->q8, kernel->q8_row_size(a->K), a->T,
                              a->K))
        return;
    if (takes_q8)
        kernel->matmul_q8(part->y, part->y_stride, w->data, w->dtype, begin, end, a->q8, kernel->q8_row_size(a->K), a->T,
                          a->K);
    else
        matmul_float_rows(job, part, begin, end);
}

/* begin and end count through the rows of all parts. */
static void matmul_rows(void *ctx, size_t begin, size_t end, unsigned worker)
{
    const matmul_job *job = ctx;
    size_t first = 0; /* number of the part's first row */
    (void)worker;
    begin += job->begin;
    end += job->begin;
    for (size_t i = 0; i < job->n_parts && first < end; i++) {
        const size_t rows = job->parts[i].w->N;
        const size_t from = begin > first ? begin - first : 0, to = end - first < rows ? end - first : rows;
        if (from < to)
            matmul_part_rows(job, &job->parts[i], from, to);
        first += rows;
    }
}

static void matmul_run(matmul_job *job, size_t n_rows, bz_activations *a)
{
    bezel_engine *engine = job->engine;
    int any_blas = 0;
    for (size_t i = 0; i < job->n_parts; i++) {
        if (matmul_takes_q8(engine, job->parts[i].w, a))
            matmul_fill_q8(engine, a);
        else if (matmul_takes_blas(engine, job->parts[i].w, a))
            any_blas = 1;
    }
    /* One position: each thread gets one stretch of memory. Several: smaller pieces, as the rows stay in cache. */
    const size_t pieces = (size_t)bz_thread_pool_size(engine->pool) * (a->T > 1 ? MATMUL_SHARES : 1);
    const size_t align = any_blas ? BZ_BLAS_N : MATMUL_ALIGN_ROWS;
    const size_t share = (n_rows + pieces - 1) / pieces;
    bz_thread_pool_run(engine->pool, n_rows, (share + align - 1) / align * align, matmul_rows, job);
}

void bz_matmul(float *y, size_t y_stride, bezel_engine *engine, const bz_tensor *w, size_t n_begin, size_t n_end,
               bz_activations *a)
{
    const bz_matmul_part part = {y, y_stride, w, NULL};
    matmul_job job = {engine, a, &part, 1, n_begin};
    if (n_begin < n_end)
        matmul_run(&job, n_end - n_begin, a);
}

void bz_matmul_many(bezel_engine *engine, const bz_matmul_part *parts, size_t n_parts, bz_activations *a)
{
    matmul_job job = {engine, a, parts, n_parts, 0};
    size_t n_rows = 0;
    for (size_t i = 0; i < n_parts; i++)
        n_rows += parts[i].w->N;
    if (n_rows > 0)
        matmul_run(&job, n_rows, a);
}

/* ---- listed rows ------------------------------------------------------------------------------------------------------ */

void bz_matmul_input(float *x, bezel_engine *engine, const bz_tensor *w, bz_activations *a)
{
    if (!matmul_takes_q8(engine, w, a)) {
        memcpy(x, a->x, a->K * sizeof *x);
        return;
    }
    matmul_fill_q8(engine, a);
    const bz_activation_row row = bz_activation_row_at(a->q8, 0, 0, a->K, 0);
    for (size_t k = 0; k < a->K; k++)
        x[k] = row.d[k / 32] * (float)row.q[k];
}

typedef struct matmul_list {
    matmul_job job;
    const int32_t *rows;
} matmul_list;

static void matmul_listed(void *ctx, size_t begin, size_t end, unsigned worker)
{
    const matmul_list *list = ctx;
    const bz_matmul_part *part = list->job.parts;
    const bz_activations *a = list->job.a;
    const bz_kernel *kernel = list->job.engine->kernel;
    (void)worker;
    if (kernel->matmul_q8_listed != NULL && matmul_takes_q8(list->job.engine, part->w, a) &&
        kernel->matmul_q8_listed(part->y, part->w->data, part->w->dtype, list->rows + begin, end - begin, a->q8, a->K))
        return;
    for (size_t i = begin; i < end; i++) {
        const size_t n = (size_t)list->rows[i];
        matmul_part_rows(&list->job, part, n, n + 1);
    }
}

void bz_matmul_rows(float *y, bezel_engine *engine, const bz_tensor *w, const int32_t *rows, size_t n_rows, bz_activations *a)
{
    const bz_matmul_part part = {y, w->N, w, NULL};
    matmul_list list = {{engine, a, &part, 1, 0}, rows};
    if (matmul_takes_q8(engine, w, a))
        matmul_fill_q8(engine, a);
    if (n_rows > 0)
        bz_thread_pool_run(engine->pool, n_rows, 64, matmul_listed, &list);
}
