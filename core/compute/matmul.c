/* SPDX-License-Identifier: MIT */
/* Spreads products of weights and activations over the pool. Two ways: integer activations where the caller gave scratch
 * for them and the type has groups, else floats; OpenBLAS takes the float products of long enough prompts over unquantised
 * weights.
 * Invariant: a value depends on its row and position alone. The one exception is OpenBLAS, on the faster levels only: there a
 * prompt of BLAS_MIN_T positions or more rounds differently from a shorter one, in the last bits; the scalar level never uses
 * it. It allocates nothing. */
#include "compute/matmul.h"

#include <bezel/engine.h>

#include "compute/activation.h"
#include "compute/blas.h"
#include "compute/quant.h"

#include <string.h>

enum {
    BLAS_MIN_T = 16,       /* below, reading the weights is the cost and our own kernels do that at full speed */
    BLAS_ROWS = 64,        /* rows a call, the same for any number of threads */
    BLAS_PANEL = 16384,    /* floats of a panel of widened weights: 64 KiB of stack, half an L2 way */
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
    return engine->blas_ok && engine->kernel->isa != BEZEL_ISA_SCALAR && a->T >= BLAS_MIN_T &&
           !bz_quant_has_groups(w->dtype);
}

/* Rows are widened in panels. Panels are cut where the number of the row in the whole job (n + before) is a multiple of
 * BLAS_ROWS, and ranges end at such places, so the calls are the same for any number of threads. F32 weights are copied as
 * well: a panel in cache is what the library makes of them anyway. */
static void matmul_blas_rows(const matmul_job *job, const bz_matmul_part *part, size_t before, size_t begin, size_t end)
{
    float panel[BLAS_PANEL];
    const bz_activations *a = job->a;
    const bz_tensor *w = part->w;
    const size_t row_size = bz_tensor_row_size(w), element = row_size / w->K;
    const size_t width = BLAS_PANEL / BLAS_ROWS;
    for (size_t n = begin, rows; n < end; n += rows) {
        const size_t cut = BLAS_ROWS - (n + before) % BLAS_ROWS;
        rows = end - n < cut ? end - n : cut;
        for (size_t k = 0; k < a->K; k += width) {
            const size_t columns = a->K - k < width ? a->K - k : width;
            for (size_t r = 0; r < rows; r++)
                job->engine->kernel->dequantize(panel + r * width,
                                                (const char *)w->data + (n + r) * row_size + k * element, w->dtype, columns);
            bz_blas_multiply(part->y + n, part->y_stride, panel, width, rows, a->x + k, a->x_stride, a->T, columns, k > 0);
        }
    }
}

static void matmul_part_rows(const matmul_job *job, const bz_matmul_part *part, size_t before, size_t begin, size_t end)
{
    const bz_kernel *kernel = job->engine->kernel;
    const bz_activations *a = job->a;
    const bz_tensor *w = part->w;
    if (matmul_takes_q8(job->engine, w, a))
        kernel->matmul_q8(part->y, part->y_stride, w->data, w->dtype, begin, end, a->q8, kernel->q8_row_size(a->K), a->T,
                          a->K);
    else if (matmul_takes_blas(job->engine, w, a))
        matmul_blas_rows(job, part, before, begin, end);
    else
        kernel->matmul_f32(part->y, part->y_stride, w->data, w->dtype, begin, end, a->x, a->x_stride, a->T, a->K);
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
            matmul_part_rows(job, &job->parts[i], first + BLAS_ROWS - job->begin % BLAS_ROWS, from, to);
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
    const size_t align = any_blas ? BLAS_ROWS : MATMUL_ALIGN_ROWS;
    const size_t share = (n_rows + pieces - 1) / pieces;
    bz_thread_pool_run(engine->pool, n_rows, (share + align - 1) / align * align, matmul_rows, job);
}

void bz_matmul(float *y, size_t y_stride, bezel_engine *engine, const bz_tensor *w, size_t n_begin, size_t n_end,
               bz_activations *a)
{
    const bz_matmul_part part = {y, y_stride, w};
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
    (void)worker;
    for (size_t i = begin; i < end; i++) {
        const size_t n = (size_t)list->rows[i];
        matmul_part_rows(&list->job, list->job.parts, 0, n, n + 1);
    }
}

void bz_matmul_rows(float *y, bezel_engine *engine, const bz_tensor *w, const int32_t *rows, size_t n_rows, bz_activations *a)
{
    const bz_matmul_part part = {y, w->N, w};
    matmul_list list = {{engine, a, &part, 1, 0}, rows};
    if (matmul_takes_q8(engine, w, a))
        matmul_fill_q8(engine, a);
    if (n_rows > 0)
        bz_thread_pool_run(engine->pool, n_rows, 64, matmul_listed, &list);
}
