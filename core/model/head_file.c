/* SPDX-License-Identifier: MIT */
/* Making and mapping the side file of the output matrix (see head_file.h).
 * Invariant: nothing of a file is used before all its hashes were found right; a bound that is too small would change text. */
#include "model/head_file.h"

#include "base/alloc.h"
#include "base/byte_order.h"
#include "base/status.h"

#include <math.h>
#include <string.h>

#define HEAD_ORIGIN "head"
#define HEAD_MAGIC "BZHEAD\r\n"
#define HEAD_VERSION 2u /* to be raised with every change of what bz_screen_encode writes */

enum { HEAD_NAMES = 48, HEAD_AT_ORDER = 128, HEAD_CANCEL_ROWS = 512 };

static size_t head_size(size_t K)
{
    return HEAD_AT_ORDER + 8 * K;
}

static uint64_t head_data_size(size_t N, size_t K)
{
    return (uint64_t)bz_screen_blocks(N) * bz_screen_block_size(K);
}

uint64_t bz_head_file_size(size_t N, size_t K)
{
    return bz_side_size(head_size(K), head_data_size(N, K));
}

/* names: what says which file it is, the same in every file of this model. */
static bz_side_plan head_side(uint8_t names[HEAD_NAMES], const bz_head_plan *p)
{
    const size_t N = p->matrix->N, K = p->matrix->K;
    memcpy(names, HEAD_MAGIC, 8);
    bz_store_u32(names + 8, HEAD_VERSION);
    bz_store_u32(names + 12, BZ_SCREEN_HEAVY);
    bz_store_u64(names + 16, N);
    bz_store_u64(names + 24, K);
    memcpy(names + 32, p->key, 16);
    return (bz_side_plan){.world = p->world,
                          .origin = HEAD_ORIGIN,
                          .path = p->path,
                          .names = names,
                          .names_size = HEAD_NAMES,
                          .head_size = head_size(K),
                          .data_size = head_data_size(N, K),
                          .cancel = p->cancel};
}

static int head_is_cancelled(const bz_head_plan *p)
{
    return p->cancel != NULL && atomic_load_explicit(p->cancel, memory_order_relaxed);
}

static bezel_status head_cancelled(bezel_error *err)
{
    return bz_fail(err, BEZEL_ERR_CANCELLED, HEAD_ORIGIN, "the work on the output matrix was cancelled");
}

/* --- Opening ------------------------------------------------------------------------------ */

static bezel_status head_bad(bezel_error *err, const bz_head_plan *p, const char *what)
{
    return bz_fail(err, BEZEL_ERR_FORMAT, HEAD_ORIGIN, "%s: %s", p->path, what);
}

/* Copies order and mean; each dimension once, each mean finite. */
static bezel_status head_take_arrays(bz_head_file *f, const bz_head_plan *p, bezel_error *err)
{
    const size_t K = p->matrix->K;
    uint32_t *order = bz_alloc_aligned(p->world, K * 9); /* order, mean, marks */
    if (order == NULL)
        return bz_fail_memory(err, HEAD_ORIGIN, "order of dimensions", K * 9);
    const uint8_t *from = f->map.head + HEAD_AT_ORDER;
    float *mean = (float *)(void *)(order + K);
    uint8_t *seen = (uint8_t *)(mean + K);
    int is_good = 1;
    f->arrays = order;
    memset(seen, 0, K);
    for (size_t i = 0; i < K && is_good; i++) {
        order[i] = bz_load_u32(from + 4 * i);
        mean[i] = bz_load_f32(from + 4 * (K + i));
        is_good = order[i] < K && !seen[order[i]] && isfinite(mean[i]);
        if (is_good)
            seen[order[i]] = 1;
    }
    f->screen.order = order;
    f->screen.mean = mean;
    return is_good ? BEZEL_OK : head_bad(err, p, "its order of dimensions is wrong");
}

bezel_status bz_head_file_open(bz_head_file *out, const bz_head_plan *p, bezel_error *err)
{
    uint8_t names[HEAD_NAMES];
    const bz_side_plan side = head_side(names, p);
    memset(out, 0, sizeof *out);
    bezel_status status = bz_side_open(&out->map, &side, err);
    if (status != BEZEL_OK)
        return status;
    bz_screen *s = &out->screen;
    const uint8_t *norms = out->map.head + HEAD_NAMES;
    s->N = p->matrix->N;
    s->K = p->matrix->K;
    s->norm = bz_load_f64(norms);
    s->rest = bz_load_f64(norms + 8);
    s->heavy = bz_load_f64(norms + 16);
    s->blocks = out->map.data;
    if (!(s->norm >= 0.0 && s->rest >= 0.0 && s->heavy >= 0.0))
        status = head_bad(err, p, "its norms are wrong");
    else
        status = head_take_arrays(out, p, err);
    if (status != BEZEL_OK)
        bz_head_file_close(out, p->world);
    return status;
}

void bz_head_file_close(bz_head_file *f, const bezel_world *w)
{
    bz_side_close(&f->map, w);
    bz_free_aligned(w, f->arrays);
    memset(f, 0, sizeof *f);
}

/* --- Making ------------------------------------------------------------------------------- */

typedef struct head_maker {
    const bz_head_plan *plan;
    bz_screen screen;
    bz_side_plan side;
    bz_side_writer writer;
    uint8_t names[HEAD_NAMES];
    uint8_t *block;   /* [bz_screen_block_size(K)] */
    double *sum;      /* [K] */
    uint32_t *order;  /* [K] */
    float *mean;      /* [K] */
    float *rows;      /* [BZ_SCREEN_ROWS + 1, K] the last one scratch */
} head_maker;

static void head_maker_free(head_maker *m)
{
    const bezel_world *w = m->plan->world;
    bz_free(w, m->block);
    bz_free(w, m->sum);
    bz_free(w, m->order);
    bz_free(w, m->mean);
    bz_free(w, m->rows);
}

static bezel_status head_maker_alloc(head_maker *m, bezel_error *err)
{
    const bezel_world *w = m->plan->world;
    const size_t K = m->screen.K;
    m->block = bz_alloc(w, bz_screen_block_size(K));
    m->sum = bz_zalloc_array(w, K, sizeof *m->sum);
    m->order = bz_zalloc_array(w, K, sizeof *m->order);
    m->mean = bz_zalloc_array(w, K, sizeof *m->mean);
    m->rows = bz_zalloc_array(w, K, (BZ_SCREEN_ROWS + 1) * sizeof *m->rows);
    if (!m->block || !m->sum || !m->order || !m->mean || !m->rows)
        return bz_fail_memory(err, HEAD_ORIGIN, "the copy of the output matrix", K * (BZ_SCREEN_ROWS + 1) * sizeof *m->rows);
    m->screen.order = m->order;
    m->screen.mean = m->mean;
    return BEZEL_OK;
}

static void head_read_row(float *out, const head_maker *m, size_t n)
{
    const bz_tensor *t = m->plan->matrix;
    m->plan->kernel->dequantize(out, (const uint8_t *)t->data + n * bz_tensor_row_size(t), t->dtype, t->K);
}

static bezel_status head_find_mean(head_maker *m, bezel_error *err)
{
    const size_t K = m->screen.K;
    for (size_t n = 0; n < m->screen.N; n++) {
        if (n % HEAD_CANCEL_ROWS == 0 && head_is_cancelled(m->plan))
            return head_cancelled(err);
        head_read_row(m->rows, m, n);
        for (size_t k = 0; k < K; k++)
            m->sum[k] += (double)m->rows[k];
    }
    for (size_t k = 0; k < K; k++) {
        m->mean[k] = (float)(m->sum[k] / (double)m->screen.N);
        if (!isfinite(m->mean[k]))
            return bz_fail(err, BEZEL_ERR_NUMERIC, HEAD_ORIGIN, "the output matrix has values that are no numbers");
    }
    return BEZEL_OK;
}

static bezel_status head_write_blocks(head_maker *m, bezel_error *err)
{
    bezel_status status = BEZEL_OK;
    const size_t K = m->screen.K;
    for (size_t n = 0; n < m->screen.N && status == BEZEL_OK; n += BZ_SCREEN_ROWS) {
        const size_t left = m->screen.N - n, rows = left < BZ_SCREEN_ROWS ? left : BZ_SCREEN_ROWS;
        if (n % HEAD_CANCEL_ROWS == 0 && head_is_cancelled(m->plan))
            return head_cancelled(err);
        for (size_t i = 0; i < rows; i++)
            head_read_row(m->rows + i * K, m, n + i);
        if (!bz_screen_encode(m->block, &m->screen, m->rows, rows, m->rows + BZ_SCREEN_ROWS * K))
            return bz_fail(err, BEZEL_ERR_NUMERIC, HEAD_ORIGIN, "the output matrix has values that are no numbers");
        status = bz_side_add(&m->writer, m->block, bz_screen_block_size(K), err);
    }
    return status;
}

static void head_fill_header(head_maker *m)
{
    const size_t K = m->screen.K;
    uint8_t *h = m->writer.header;
    bz_store_f64(h + HEAD_NAMES, m->screen.norm);
    bz_store_f64(h + HEAD_NAMES + 8, m->screen.rest);
    bz_store_f64(h + HEAD_NAMES + 16, m->screen.heavy);
    for (size_t i = 0; i < K; i++) {
        bz_store_u32(h + HEAD_AT_ORDER + 4 * i, m->order[i]);
        bz_store_f32(h + HEAD_AT_ORDER + 4 * (K + i), m->mean[i]);
    }
}

bezel_status bz_head_file_make(const bz_head_plan *p, bezel_error *err)
{
    head_maker m = {.plan = p, .screen = {.N = p->matrix->N, .K = p->matrix->K}};
    m.side = head_side(m.names, p);
    bezel_status status = head_maker_alloc(&m, err);
    if (status == BEZEL_OK)
        status = head_find_mean(&m, err);
    if (status == BEZEL_OK) {
        bz_screen_order(m.order, p->weight, m.screen.K);
        status = bz_side_begin(&m.writer, &m.side, err);
    }
    if (status == BEZEL_OK)
        status = head_write_blocks(&m, err);
    if (status == BEZEL_OK) {
        head_fill_header(&m);
        status = bz_side_finish(&m.writer, err);
    }
    bz_side_abandon(&m.writer);
    head_maker_free(&m);
    return status;
}
