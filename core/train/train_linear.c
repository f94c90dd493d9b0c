/* SPDX-License-Identifier: MIT */
/* Products with a matrix of the model and the low-rank pair beside it, forward and backward (see trainer.h).
 * Rows of the matrix are widened into a thread's scratch: turned around for the forward product, as they lie for the
 * backward one. Every sum is bz_kernel.product's, so no cut changes a bit. */
#include "train/trainer.h"

#include "base/dtype.h"

#include <string.h>

enum {
    LINEAR_ROWS = 24,    /* of a task over positions */
    LINEAR_COLUMNS = 64, /* of a task over columns */
    LINEAR_APART = 16    /* between rows of a panel that is read by columns, for else they would share places of the cache */
};

typedef struct linear {
    bz_trainer *t;
    const bz_tensor *w;
    const bz_low_rank *pair, *grad;
    const float *x, *dy;
    const float *low; /* [T, rank] */
    float *y, *dx;
    float *a_sum;     /* [rank, K] gradient of A turned around */
    size_t T;
    uint32_t key;     /* of dropout */
    uint32_t limit;   /* a hash below it drops */
    float keep;       /* what the others are multiplied by */
} linear;

size_t bz_train_panel_scratch(size_t K)
{
    return BZ_TRAIN_PANEL * (K / 2 + LINEAR_APART) + BZ_TRAIN_PANEL * (K / 2) + 2 * K;
}

size_t bz_train_linear_scratch(const bz_config *c)
{
    const size_t q = (size_t)c->H * c->Dh;
    size_t widest = c->D > c->F ? c->D : c->F;
    widest = widest > q ? widest : q;
    const size_t sizes[3] = {widest * (BZ_TRAIN_PANEL + 1), (size_t)(BZ_TRAIN_DEPTH + 2) * 256, bz_train_panel_scratch(widest)};
    size_t most = sizes[0];
    for (int i = 1; i < 3; ++i)
        most = sizes[i] > most ? sizes[i] : most;
    return most;
}

static size_t linear_cuts(size_t n, size_t width)
{
    return (n + width - 1) / width;
}

/* --- The matrix --------------------------------------------------------------------------- */

/* y [T, N]: tasks are panels of rows of W. */
static void linear_panels(void *ctx, size_t begin, size_t end, unsigned worker)
{
    const linear *p = ctx;
    const bz_tensor *w = p->w;
    const size_t row_size = bz_tensor_row_size(w), K = w->K, N = w->N;
    float *row = bz_train_scratch(p->t, worker), *panel = row + K;
    for (size_t i = begin; i < end; ++i) {
        const size_t first = i * BZ_TRAIN_PANEL, n = N - first < BZ_TRAIN_PANEL ? N - first : BZ_TRAIN_PANEL;
        for (size_t r = 0; r < n; ++r) {
            p->t->kernel->dequantize(row, (const char *)w->data + (first + r) * row_size, w->dtype, K);
            for (size_t k = 0; k < K; ++k)
                panel[k * n + r] = row[k];
        }
        for (size_t t = 0; t < p->T; ++t)
            memset(p->y + t * N + first, 0, n * sizeof *p->y);
        p->t->kernel->product(p->y + first, N, p->x, K, 1, panel, n, p->T, K, n);
    }
}

/* The same with both sides as bf16. */
static void linear_panels_bf16(void *ctx, size_t begin, size_t end, unsigned worker)
{
    const linear *p = ctx;
    const bz_tensor *w = p->w;
    const bz_train_kernel *train = p->t->kernel->train;
    const size_t row_size = bz_tensor_row_size(w), K = w->K, N = w->N, stride = K / 2 + LINEAR_APART;
    float *row = bz_train_scratch(p->t, worker);
    uint32_t *rows = (uint32_t *)(void *)(row + K), *panel = rows + BZ_TRAIN_PANEL * stride;
    for (size_t i = begin; i < end; ++i) {
        const size_t first = i * BZ_TRAIN_PANEL, n = N - first < BZ_TRAIN_PANEL ? N - first : BZ_TRAIN_PANEL;
        for (size_t r = 0; r < n; ++r) {
            p->t->kernel->dequantize(row, (const char *)w->data + (first + r) * row_size, w->dtype, K);
            train->to_bf16((uint16_t *)(void *)(rows + r * stride), row, K);
        }
        train->turn(panel, n, rows, stride, n, K / 2);
        for (size_t t = 0; t < p->T; ++t)
            memset(p->y + t * N + first, 0, n * sizeof *p->y);
        p->t->product_pairs(p->y + first, N, p->t->back.pairs, K / 2, panel, n, p->T, K / 2, n);
    }
}

/* Columns that are widened together: whole blocks. */
static size_t linear_width(const bz_tensor *w)
{
    const size_t block = bz_dtype_find(w->dtype)->block;
    return block > LINEAR_COLUMNS ? block : LINEAR_COLUMNS;
}

/* dx [T, K] += dy W: tasks are groups of columns of W. */
static void linear_columns_back(void *ctx, size_t begin, size_t end, unsigned worker)
{
    const linear *p = ctx;
    const bz_tensor *w = p->w;
    const bz_dtype *type = bz_dtype_find(w->dtype);
    const size_t row_size = bz_tensor_row_size(w), K = w->K, N = w->N, width = linear_width(w);
    float *panel = bz_train_scratch(p->t, worker);
    for (size_t i = begin; i < end; ++i) {
        const size_t first = i * width, k = K - first < width ? K - first : width;
        const char *at = (const char *)w->data + first / type->block * type->block_size;
        for (size_t n = 0; n < N; n += BZ_TRAIN_DEPTH) {
            const size_t depth = N - n < BZ_TRAIN_DEPTH ? N - n : BZ_TRAIN_DEPTH;
            for (size_t r = 0; r < depth; ++r)
                p->t->kernel->dequantize(panel + r * k, at + (n + r) * row_size, w->dtype, k);
            p->t->kernel->product(p->dx + first, K, p->dy + n, N, 1, panel, k, p->T, depth, k);
        }
    }
}

/* The same with both sides as bf16, pairs being of two rows of W. */
static void linear_columns_back_bf16(void *ctx, size_t begin, size_t end, unsigned worker)
{
    const linear *p = ctx;
    const bz_tensor *w = p->w;
    const bz_dtype *type = bz_dtype_find(w->dtype);
    const size_t row_size = bz_tensor_row_size(w), K = w->K, N = w->N, width = linear_width(w);
    float *low = bz_train_scratch(p->t, worker), *high = low + width;
    uint32_t *panel = (uint32_t *)(void *)(high + width);
    for (size_t i = begin; i < end; ++i) {
        const size_t first = i * width, k = K - first < width ? K - first : width;
        const char *at = (const char *)w->data + first / type->block * type->block_size;
        for (size_t n = 0; n < N; n += BZ_TRAIN_DEPTH) {
            const size_t depth = N - n < BZ_TRAIN_DEPTH ? N - n : BZ_TRAIN_DEPTH;
            for (size_t r = 0; r < depth; r += 2) {
                p->t->kernel->dequantize(low, at + (n + r) * row_size, w->dtype, k);
                p->t->kernel->dequantize(high, at + (n + r + 1) * row_size, w->dtype, k);
                p->t->kernel->train->to_pairs(panel + r / 2 * k, low, high, k);
            }
            p->t->product_pairs(p->dx + first, K, p->t->back.pairs + n / 2, N / 2, panel, k, p->T, depth / 2, k);
        }
    }
}

typedef struct linear_round {
    const bz_trainer *t;
    uint32_t *out;
    const float *x;
    size_t columns;
} linear_round;

static void linear_round_rows(void *ctx, size_t begin, size_t end, unsigned worker)
{
    const linear_round *p = ctx;
    const size_t n = p->columns;
    (void)worker;
    p->t->kernel->train->to_bf16((uint16_t *)(void *)(p->out + begin * (n / 2)), p->x + begin * n, (end - begin) * n);
}

void bz_train_to_pairs(bz_trainer *t, uint32_t *out, const float *x, size_t rows, size_t columns)
{
    linear_round p = {t, out, x, columns};
    bz_thread_pool_run(t->engine->pool, rows, LINEAR_ROWS, linear_round_rows, &p);
}

/* --- Dropout ------------------------------------------------------------------------------ */

/* The same number is dropped on the way back: what decides is a hash of its place (bz_train_kernel.drop). */
static uint32_t linear_hash(uint64_t x)
{
    x += 0x9E3779B97F4A7C15ULL;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
    return (uint32_t)((x ^ (x >> 31)) >> 32);
}

static void linear_drop(const linear *p, float *out, const float *x, size_t t, int add)
{
    const size_t K = p->w->K;
    p->t->kernel->train->drop(out, x, K, p->key, (uint32_t)(t * K), p->limit, p->keep, add);
}

static void linear_drop_rows(void *ctx, size_t begin, size_t end, unsigned worker)
{
    const linear *p = ctx;
    (void)worker;
    for (size_t t = begin; t < end; ++t)
        linear_drop(p, p->t->back.dropped + t * p->w->K, p->x + t * p->w->K, t, 0);
}

/* What A gets. */
static const float *linear_input(linear *p)
{
    if (p->limit == 0)
        return p->x;
    bz_thread_pool_run(p->t->engine->pool, p->T, 1, linear_drop_rows, p);
    return p->t->back.dropped;
}

/* --- The pair ----------------------------------------------------------------------------- */

/* low = scale * (x A), y += low B: tasks are groups of positions. */
static void linear_pair_rows(void *ctx, size_t begin, size_t end, unsigned worker)
{
    const linear *p = ctx;
    const size_t rank = p->pair->rank, K = p->w->K, N = p->w->N, T = end - begin;
    float *low = (float *)(uintptr_t)p->low + begin * rank;
    (void)worker;
    memset(low, 0, T * rank * sizeof *low);
    p->t->kernel->product(low, rank, p->x + begin * K, K, 1, p->pair->a, rank, T, K, rank);
    for (size_t i = 0; i < T * rank; ++i)
        low[i] *= p->pair->scale;
    p->t->kernel->product(p->y + begin * N, N, low, rank, 1, p->pair->b, N, T, rank, N);
}

/* out [columns, rows] */
static void linear_turn(float *out, const float *x, size_t rows, size_t columns)
{
    for (size_t r = 0; r < rows; ++r)
        for (size_t c = 0; c < columns; ++c)
            out[c * rows + r] = x[r * columns + c];
}

/* Gradient of x A: dlow = scale * dy B'. turned holds B'. */
static void linear_low_rows(void *ctx, size_t begin, size_t end, unsigned worker)
{
    const linear *p = ctx;
    const size_t rank = p->pair->rank, N = p->w->N, T = end - begin;
    float *low = p->t->back.low + begin * rank;
    (void)worker;
    memset(low, 0, T * rank * sizeof *low);
    p->t->kernel->product(low, rank, p->dy + begin * N, N, 1, p->t->back.turned, rank, T, N, rank);
    for (size_t i = 0; i < T * rank; ++i)
        low[i] *= p->pair->scale;
}

/* Gradient of B [rank, N] += low' dy: columns. */
static void linear_b_columns(void *ctx, size_t begin, size_t end, unsigned worker)
{
    const linear *p = ctx;
    const size_t rank = p->pair->rank, N = p->w->N;
    (void)worker;
    p->t->kernel->product(p->grad->b + begin, N, p->low, 1, rank, p->dy + begin, N, rank, p->T, end - begin);
}

/* Gradient of A turned around, [rank, K] = dlow' x: columns. x is what A got. */
static void linear_a_columns(void *ctx, size_t begin, size_t end, unsigned worker)
{
    const linear *p = ctx;
    const size_t rank = p->pair->rank, K = p->w->K;
    (void)worker;
    for (size_t r = 0; r < rank; ++r)
        memset(p->a_sum + r * K + begin, 0, (end - begin) * sizeof *p->a_sum);
    p->t->kernel->product(p->a_sum + begin, K, p->t->back.low, 1, rank, p->x + begin, K, rank, p->T, end - begin);
    for (size_t k = begin; k < end; ++k)
        for (size_t r = 0; r < rank; ++r)
            p->grad->a[k * rank + r] += p->a_sum[r * K + k];
}

/* dx += dlow A', through dropout. turned holds A'. */
static void linear_pair_rows_back(void *ctx, size_t begin, size_t end, unsigned worker)
{
    const linear *p = ctx;
    const size_t rank = p->pair->rank, K = p->w->K, T = end - begin;
    float *to = p->limit == 0 ? p->dx : p->t->back.dropped;
    (void)worker;
    if (p->limit != 0)
        memset(to + begin * K, 0, T * K * sizeof *to);
    p->t->kernel->product(to + begin * K, K, p->t->back.low + begin * rank, rank, 1, p->t->back.turned, K, T, rank, K);
    for (size_t t = begin; p->limit != 0 && t < end; ++t)
        linear_drop(p, p->dx + t * K, to + t * K, t, 1);
}

/* --- Both --------------------------------------------------------------------------------- */

static linear linear_of(bz_trainer *t, uint32_t layer, uint32_t target)
{
    const uint32_t place = layer * BZ_N_TARGETS + target;
    linear p = {.t = t,
                .w = bz_adapter_matrix(t->model, layer, target),
                .pair = &t->adapter->pairs[place],
                .grad = &t->grad->pairs[place],
                .T = t->pack.T,
                .keep = 1.0f};
    if (t->options.dropout > 0.0f && !t->only_loss) {
        const uint64_t of_pass = (uint64_t)linear_hash(t->options.seed + t->pass) << 32 | linear_hash(~t->options.seed - t->pass);
        p.key = linear_hash(of_pass + ((uint64_t)linear_hash(place) << 32));
        p.limit = (uint32_t)((double)t->options.dropout * 4294967296.0);
        p.keep = 1.0f / (1.0f - t->options.dropout);
    }
    return p;
}

void bz_train_linear(bz_trainer *t, uint32_t layer, uint32_t target, float *y, const float *x, float *low)
{
    linear p = linear_of(t, layer, target);
    bz_thread_pool *pool = t->engine->pool;
    p.x = x;
    p.y = y;
    p.low = low;
    if (t->options.bf16)
        bz_train_to_pairs(t, t->back.pairs, x, p.T, p.w->K);
    bz_thread_pool_run(pool, linear_cuts(p.w->N, BZ_TRAIN_PANEL), 1, t->options.bf16 ? linear_panels_bf16 : linear_panels, &p);
    if (p.pair->rank == 0)
        return;
    p.x = linear_input(&p);
    bz_thread_pool_run(pool, p.T, LINEAR_ROWS, linear_pair_rows, &p);
}

void bz_train_linear_back(bz_trainer *t, uint32_t layer, uint32_t target, float *dx, const float *dy, const float *x,
                          const float *low)
{
    linear p = linear_of(t, layer, target);
    bz_thread_pool *pool = t->engine->pool;
    const size_t rank = p.pair->rank, K = p.w->K, N = p.w->N;
    p.x = x;
    p.dx = dx;
    p.dy = dy;
    p.low = low;
    if (dx != NULL && t->options.bf16)
        bz_train_to_pairs(t, t->back.pairs, dy, p.T, N);
    if (dx != NULL)
        bz_thread_pool_run(pool, linear_cuts(K, linear_width(p.w)), 1,
                           t->options.bf16 ? linear_columns_back_bf16 : linear_columns_back, &p);
    if (rank == 0)
        return;
    linear_turn(t->back.turned, p.pair->b, rank, N);
    bz_thread_pool_run(pool, p.T, LINEAR_ROWS, linear_low_rows, &p);
    bz_thread_pool_run(pool, N, LINEAR_COLUMNS, linear_b_columns, &p);
    p.x = linear_input(&p);
    p.a_sum = t->back.turned;
    bz_thread_pool_run(pool, K, LINEAR_COLUMNS, linear_a_columns, &p);
    if (dx == NULL)
        return;
    linear_turn(t->back.turned, p.pair->a, K, rank);
    bz_thread_pool_run(pool, p.T, LINEAR_ROWS, linear_pair_rows_back, &p);
}
