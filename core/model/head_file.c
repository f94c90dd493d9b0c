/* SPDX-License-Identifier: MIT */
/* Making, checking and mapping the side file of the output matrix (see head_file.h).
 * Invariant: nothing of a file is used before all its hashes were found right; a bound that is too small would change text.
 * It takes about 2 MiB of memory while it builds. */
#include "model/head_file.h"

#include "base/alloc.h"
#include "base/byte_order.h"
#include "base/hash.h"
#include "base/status.h"

#include <math.h>
#include <string.h>

#define HEAD_MAGIC "BZHEAD\r\n"
#define HEAD_VERSION 1u /* to be raised with every change of what bz_screen_encode writes */
#define HEAD_PIECE ((size_t)2 << 20)
#define HEAD_PAGE ((size_t)4096)

enum { HEAD_AT_NORMS = 56, HEAD_AT_ORDER = 128, HEAD_HASH = 16, HEAD_CANCEL_ROWS = 512 };

typedef struct head_shape {
    size_t N, K, n_blocks, block_size, n_pieces, header_size;
    uint64_t data_size;
} head_shape;

static head_shape head_measure(size_t N, size_t K)
{
    head_shape s = {.N = N, .K = K, .n_blocks = bz_screen_blocks(N), .block_size = bz_screen_block_size(K)};
    s.data_size = (uint64_t)s.n_blocks * s.block_size;
    s.n_pieces = (size_t)((s.data_size + HEAD_PIECE - 1) / HEAD_PIECE);
    s.header_size = HEAD_AT_ORDER + 8 * K + HEAD_HASH * (s.n_pieces + 1);
    s.header_size = (s.header_size + HEAD_PAGE - 1) / HEAD_PAGE * HEAD_PAGE;
    return s;
}

static size_t head_piece_size(const head_shape *s, size_t piece)
{
    const uint64_t left = s->data_size - (uint64_t)piece * HEAD_PIECE;
    return left < HEAD_PIECE ? (size_t)left : HEAD_PIECE;
}

uint64_t bz_head_file_size(size_t N, size_t K)
{
    const head_shape s = head_measure(N, K);
    return s.header_size + s.data_size;
}

static int head_is_cancelled(const bz_head_plan *p)
{
    return p->cancel != NULL && atomic_load_explicit(p->cancel, memory_order_relaxed);
}

static bezel_status head_cancelled(bezel_error *err)
{
    return bz_fail(err, BEZEL_ERR_CANCELLED, "head", "the work on the output matrix was cancelled");
}

static void head_hash(uint8_t out[HEAD_HASH], const void *bytes, size_t size)
{
    bz_hash h;
    bz_hash_init(&h);
    bz_hash_add(&h, bytes, size);
    bz_hash_finish(&h, out);
}

static void head_put(uint8_t *at, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

static void head_put_f64(uint8_t *at, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    head_put(at, bits, sizeof bits);
}

/* The members that say what file it is: the same in every file of this model. */
static void head_put_names(uint8_t *header, const head_shape *s, const uint8_t key[16])
{
    memcpy(header, HEAD_MAGIC, 8);
    head_put(header + 8, HEAD_VERSION, 4);
    head_put(header + 12, BZ_SCREEN_HEAVY, 4);
    head_put(header + 16, s->header_size + s->data_size, 8);
    head_put(header + 24, s->N, 8);
    head_put(header + 32, s->K, 8);
    memcpy(header + 40, key, 16);
}

/* --- Opening ------------------------------------------------------------------------------ */

static bezel_status head_bad(bezel_error *err, bezel_status status, const bz_head_plan *p, const char *what)
{
    return bz_fail(err, status, "head", "%s: %s", p->path, what);
}

/* Copies order and mean; each dimension once, each mean finite. */
static bezel_status head_take_arrays(bz_head_file *f, const uint8_t *header, const head_shape *s, const bz_head_plan *p,
                                     bezel_error *err)
{
    uint32_t *order = bz_alloc_aligned(p->world, s->K * 9); /* order, mean, marks */
    if (order == NULL)
        return bz_fail_memory(err, "head", "order of dimensions", s->K * 9);
    float *mean = (float *)(void *)(order + s->K);
    uint8_t *seen = (uint8_t *)(mean + s->K);
    int is_good = 1;
    f->arrays = order;
    memset(seen, 0, s->K);
    for (size_t i = 0; i < s->K && is_good; i++) {
        order[i] = bz_load_u32(header + HEAD_AT_ORDER + 4 * i);
        mean[i] = bz_load_f32(header + HEAD_AT_ORDER + 4 * (s->K + i));
        is_good = order[i] < s->K && !seen[order[i]] && isfinite(mean[i]);
        if (is_good)
            seen[order[i]] = 1;
    }
    if (!is_good)
        return head_bad(err, BEZEL_ERR_FORMAT, p, "its order of dimensions is wrong");
    f->screen.order = order;
    f->screen.mean = mean;
    return BEZEL_OK;
}

static bezel_status head_check(bz_head_file *f, const head_shape *s, const bz_head_plan *p, bezel_error *err)
{
    const uint8_t *header = f->map, *data = header + s->header_size;
    const uint8_t *hashes = header + HEAD_AT_ORDER + 8 * s->K;
    uint8_t names[HEAD_AT_NORMS], hash[HEAD_HASH];
    head_put_names(names, s, p->key);
    if (memcmp(header, names, 12) != 0)
        return head_bad(err, BEZEL_ERR_VERSION, p, "another version wrote it");
    head_hash(hash, header, s->header_size - HEAD_HASH);
    if (memcmp(hash, header + s->header_size - HEAD_HASH, HEAD_HASH) != 0)
        return head_bad(err, BEZEL_ERR_CHECKSUM, p, "its header is damaged");
    if (memcmp(header, names, HEAD_AT_NORMS) != 0)
        return head_bad(err, BEZEL_ERR_FORMAT, p, "it was made from another model file");
    bz_screen *out = &f->screen;
    out->N = s->N;
    out->K = s->K;
    out->norm = bz_load_f64(header + HEAD_AT_NORMS);
    out->rest = bz_load_f64(header + HEAD_AT_NORMS + 8);
    out->heavy = bz_load_f64(header + HEAD_AT_NORMS + 16);
    out->blocks = data;
    if (!(out->norm >= 0.0 && out->rest >= 0.0 && out->heavy >= 0.0))
        return head_bad(err, BEZEL_ERR_FORMAT, p, "its norms are wrong");
    for (size_t i = 0; i < s->n_pieces; i++) {
        if (head_is_cancelled(p))
            return head_cancelled(err);
        head_hash(hash, data + i * HEAD_PIECE, head_piece_size(s, i));
        if (memcmp(hash, hashes + i * HEAD_HASH, HEAD_HASH) != 0)
            return head_bad(err, BEZEL_ERR_CHECKSUM, p, "its data is damaged");
    }
    return head_take_arrays(f, header, s, p, err);
}

bezel_status bz_head_file_open(bz_head_file *out, const bz_head_plan *p, bezel_error *err)
{
    const bezel_world *w = p->world;
    const head_shape s = head_measure(p->matrix->N, p->matrix->K);
    bezel_file *file = NULL;
    bezel_file_info info = {0, 0, 0};
    memset(out, 0, sizeof *out);
    bezel_status status = w->file_open(w->ud, &file, p->path, BEZEL_FILE_READ);
    if (status < 0)
        return head_bad(err, status, p, "it cannot be opened");
    status = w->file_info(w->ud, file, &info);
    if (status < 0)
        head_bad(err, status, p, "its size is unknown");
    else if (info.size != s.header_size + s.data_size)
        status = head_bad(err, BEZEL_ERR_TRUNCATED, p, "it has the wrong size");
    else if ((status = w->file_map(w->ud, file, info.size, &out->map)) < 0)
        head_bad(err, status, p, "it cannot be mapped");
    w->file_close(w->ud, file);
    if (status < 0)
        return status;
    out->size = info.size;
    status = head_check(out, &s, p, err);
    if (status != BEZEL_OK)
        bz_head_file_close(out, w);
    return status;
}

void bz_head_file_close(bz_head_file *f, const bezel_world *w)
{
    if (f->map != NULL)
        w->file_unmap(w->ud, f->map, f->size);
    bz_free_aligned(w, f->arrays);
    memset(f, 0, sizeof *f);
}

/* --- Making ------------------------------------------------------------------------------- */

typedef struct head_maker {
    const bz_head_plan *plan;
    head_shape shape;
    bz_screen screen;
    bezel_file *file;
    uint8_t *header;  /* [header_size] */
    uint8_t *piece;   /* [HEAD_PIECE] */
    uint8_t *block;   /* [block_size] */
    double *sum;      /* [K] */
    uint32_t *order;  /* [K] */
    float *mean;      /* [K] */
    float *rows;      /* [BZ_SCREEN_ROWS + 1, K] the last one scratch */
    size_t held;      /* bytes in `piece` */
    size_t n_written; /* pieces */
} head_maker;

static void head_maker_free(head_maker *m)
{
    const bezel_world *w = m->plan->world;
    bz_free(w, m->header);
    bz_free(w, m->piece);
    bz_free(w, m->block);
    bz_free(w, m->sum);
    bz_free(w, m->order);
    bz_free(w, m->mean);
    bz_free(w, m->rows);
}

static bezel_status head_maker_alloc(head_maker *m, bezel_error *err)
{
    const bezel_world *w = m->plan->world;
    const head_shape *s = &m->shape;
    m->header = bz_zalloc(w, s->header_size);
    m->piece = bz_alloc(w, HEAD_PIECE);
    m->block = bz_alloc(w, s->block_size);
    m->sum = bz_zalloc_array(w, s->K, sizeof *m->sum);
    m->order = bz_zalloc_array(w, s->K, sizeof *m->order);
    m->mean = bz_zalloc_array(w, s->K, sizeof *m->mean);
    m->rows = bz_zalloc_array(w, s->K, (BZ_SCREEN_ROWS + 1) * sizeof *m->rows);
    if (!m->header || !m->piece || !m->block || !m->sum || !m->order || !m->mean || !m->rows)
        return bz_fail_memory(err, "head", "the copy of the output matrix", s->header_size + HEAD_PIECE);
    return BEZEL_OK;
}

static void head_read_row(float *out, const head_maker *m, size_t n)
{
    const bz_tensor *t = m->plan->matrix;
    m->plan->kernel->dequantize(out, (const uint8_t *)t->data + n * bz_tensor_row_size(t), t->dtype, t->K);
}

static bezel_status head_find_mean(head_maker *m, bezel_error *err)
{
    const size_t K = m->shape.K;
    for (size_t n = 0; n < m->shape.N; n++) {
        if (n % HEAD_CANCEL_ROWS == 0 && head_is_cancelled(m->plan))
            return head_cancelled(err);
        head_read_row(m->rows, m, n);
        for (size_t k = 0; k < K; k++)
            m->sum[k] += (double)m->rows[k];
    }
    for (size_t k = 0; k < K; k++) {
        m->mean[k] = (float)(m->sum[k] / (double)m->shape.N);
        if (!isfinite(m->mean[k]))
            return bz_fail(err, BEZEL_ERR_NUMERIC, "head", "the output matrix has values that are no numbers");
    }
    return BEZEL_OK;
}

static bezel_status head_write(const head_maker *m, uint64_t at, const void *bytes, size_t size, bezel_error *err)
{
    const bezel_world *w = m->plan->world;
    const bezel_status status = w->file_write(w->ud, m->file, at, bytes, size);
    if (status < 0)
        return bz_fail(err, status, "head", "%s: writing %zu bytes failed (%s)", m->plan->temp, size, bezel_status_name(status));
    return BEZEL_OK;
}

static bezel_status head_flush(head_maker *m, bezel_error *err)
{
    uint8_t *hash = m->header + HEAD_AT_ORDER + 8 * m->shape.K + HEAD_HASH * m->n_written;
    const uint64_t at = m->shape.header_size + (uint64_t)m->n_written * HEAD_PIECE;
    if (m->held == 0)
        return BEZEL_OK;
    head_hash(hash, m->piece, m->held);
    const bezel_status status = head_write(m, at, m->piece, m->held, err);
    m->held = 0;
    m->n_written++;
    return status;
}

static bezel_status head_add_block(head_maker *m, bezel_error *err)
{
    for (size_t at = 0; at < m->shape.block_size;) {
        const size_t left = m->shape.block_size - at, room = HEAD_PIECE - m->held, n = left < room ? left : room;
        memcpy(m->piece + m->held, m->block + at, n);
        m->held += n;
        at += n;
        if (m->held < HEAD_PIECE)
            continue;
        const bezel_status status = head_flush(m, err);
        if (status != BEZEL_OK)
            return status;
    }
    return BEZEL_OK;
}

static bezel_status head_write_blocks(head_maker *m, bezel_error *err)
{
    bezel_status status = BEZEL_OK;
    const size_t K = m->shape.K;
    for (size_t n = 0; n < m->shape.N && status == BEZEL_OK; n += BZ_SCREEN_ROWS) {
        const size_t left = m->shape.N - n, rows = left < BZ_SCREEN_ROWS ? left : BZ_SCREEN_ROWS;
        if (n % HEAD_CANCEL_ROWS == 0 && head_is_cancelled(m->plan))
            return head_cancelled(err);
        for (size_t i = 0; i < rows; i++)
            head_read_row(m->rows + i * K, m, n + i);
        if (!bz_screen_encode(m->block, &m->screen, m->rows, rows, m->rows + BZ_SCREEN_ROWS * K))
            return bz_fail(err, BEZEL_ERR_NUMERIC, "head", "the output matrix has values that are no numbers");
        status = head_add_block(m, err);
    }
    return status == BEZEL_OK ? head_flush(m, err) : status;
}

static bezel_status head_write_header(head_maker *m, bezel_error *err)
{
    const head_shape *s = &m->shape;
    uint8_t *h = m->header;
    head_put_names(h, s, m->plan->key);
    head_put_f64(h + HEAD_AT_NORMS, m->screen.norm);
    head_put_f64(h + HEAD_AT_NORMS + 8, m->screen.rest);
    head_put_f64(h + HEAD_AT_NORMS + 16, m->screen.heavy);
    for (size_t i = 0; i < s->K; i++) {
        uint32_t bits;
        memcpy(&bits, m->mean + i, sizeof bits);
        head_put(h + HEAD_AT_ORDER + 4 * i, m->order[i], 4);
        head_put(h + HEAD_AT_ORDER + 4 * (s->K + i), bits, 4);
    }
    head_hash(h + s->header_size - HEAD_HASH, h, s->header_size - HEAD_HASH);
    return head_write(m, 0, h, s->header_size, err);
}

/* The file under its temporary name, closed again. */
static bezel_status head_write_file(head_maker *m, bezel_error *err)
{
    const bezel_world *w = m->plan->world;
    bezel_status status = w->file_open(w->ud, &m->file, m->plan->temp, BEZEL_FILE_CREATE);
    if (status < 0)
        return bz_fail(err, status, "head", "%s cannot be made (%s)", m->plan->temp, bezel_status_name(status));
    status = head_write_blocks(m, err);
    if (status == BEZEL_OK)
        status = head_write_header(m, err);
    if (status == BEZEL_OK && (status = w->file_sync(w->ud, m->file)) < 0)
        bz_fail(err, status, "head", "%s cannot be written to the disk (%s)", m->plan->temp, bezel_status_name(status));
    w->file_close(w->ud, m->file);
    if (status == BEZEL_OK && (status = w->file_rename(w->ud, m->plan->temp, m->plan->path)) < 0)
        bz_fail(err, status, "head", "%s cannot get its name (%s)", m->plan->temp, bezel_status_name(status));
    if (status < 0)
        (void)w->file_remove(w->ud, m->plan->temp);
    return status;
}

bezel_status bz_head_file_make(const bz_head_plan *p, bezel_error *err)
{
    head_maker m = {.plan = p, .shape = head_measure(p->matrix->N, p->matrix->K)};
    bezel_status status = head_maker_alloc(&m, err);
    if (status == BEZEL_OK)
        status = head_find_mean(&m, err);
    if (status == BEZEL_OK) {
        bz_screen_order(m.order, p->weight, m.shape.K);
        m.screen = (bz_screen){.N = m.shape.N, .K = m.shape.K, .order = m.order, .mean = m.mean};
        status = head_write_file(&m, err);
    }
    head_maker_free(&m);
    return status;
}
