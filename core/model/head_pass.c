/* SPDX-License-Identifier: MIT */
/* The output layer for greedy decoding with a coarse copy (compute/screen.h): scan all rows, compute a few of them exactly,
 * throw out every row whose bound is below the best of these, compute what is left exactly.
 * Invariant: a row that is left out has a bound below the exact logit of another allowed row, so it is neither the largest
 * nor tied with it; the rows that are computed have the bits of the full pass. So the answer is the full pass's.
 * Does not: sample, or give logits of more than the rows it had to compute. */
#include "model/decoder.h"

#include <math.h>
#include <string.h>

enum {
    HEAD_SEEDS = 8,          /* rows that set the first floor */
    HEAD_SHARE = 8,          /* more than 1/8 of the rows to compute: the full pass costs less */
    HEAD_LONGEST_WAIT = 64,  /* passes without a try after tries that failed */
    HEAD_CHUNK_ROWS = BZ_SCREEN_CHUNK * BZ_SCREEN_ROWS
};
#define HEAD_SLICE ((size_t)16 << 20) /* bytes of the copy a slice: about a millisecond */

static size_t head_chunks(size_t N)
{
    return (N + HEAD_CHUNK_ROWS - 1) / HEAD_CHUNK_ROWS;
}

/* ORDER in d->screen_block: query scratch and highest [chunks] of each position, h [K], rows [N / HEAD_SHARE + HEAD_SEEDS]. */
uint64_t bz_decoder_screen_bytes(size_t N, size_t K)
{
    if (!bz_screen_fits(N, K))
        return 0;
    return (bz_screen_scratch_size(K) + head_chunks(N) * sizeof(float)) * BZ_SCREEN_MOST + K * sizeof(float) +
           (N / HEAD_SHARE + HEAD_SEEDS) * sizeof(int32_t);
}

typedef struct head_scratch {
    void *query;
    float *h, *highest;
    int32_t *rows;
} head_scratch;

/* Of position t. */
static head_scratch head_place(const bz_decoder *d, size_t t)
{
    const bz_tensor *w = &d->model->weights.output;
    const size_t size = bz_screen_scratch_size(w->K);
    head_scratch s = {.query = (char *)d->screen_block + t * size};
    float *highest = (float *)(void *)((char *)d->screen_block + BZ_SCREEN_MOST * size);
    s.highest = highest + t * head_chunks(w->N);
    s.h = highest + BZ_SCREEN_MOST * head_chunks(w->N);
    s.rows = (int32_t *)(void *)(s.h + w->K);
    return s;
}

static void head_activations(bz_activations *a, const bz_decoder *d, size_t t)
{
    bz_activations_set(a, d->a + t * d->config->D, d->config->D, 1, d->config->D, d->q8);
}

int bz_decoder_screen_begin(bz_decoder *d, const bz_screen *screen)
{
    if (screen == NULL || d->screen_block == NULL || d->engine->isa == BEZEL_ISA_SCALAR || d->head_count > BZ_SCREEN_MOST)
        return 0;
    if (d->screen_wait > 0) {
        --d->screen_wait;
        return 0;
    }
    for (size_t t = 0; t < d->head_count; t++) {
        const head_scratch s = head_place(d, t);
        bz_activations act;
        head_activations(&act, d, t);
        bz_matmul_input(s.h, d->engine, &d->model->weights.output, &act);
        if (!bz_screen_query_set(&d->screen_query[t], screen, s.h, s.query))
            return 0;
    }
    d->screen = screen;
    d->head_row = 0;
    return 1;
}

typedef struct head_scan {
    const bz_decoder *d;
    float *high;
    size_t stride;
    size_t first; /* chunk */
} head_scan;

/* One chunk, which stays in cache for all positions. */
static void head_scan_chunk(const head_scan *scan, size_t c, size_t t)
{
    const bz_decoder *d = scan->d;
    const size_t block = c * BZ_SCREEN_CHUNK, left = bz_screen_blocks(d->screen->N) - block;
    const size_t n = left < BZ_SCREEN_CHUNK ? left : BZ_SCREEN_CHUNK;
    float *high = scan->high + t * scan->stride + block * BZ_SCREEN_ROWS, most = -INFINITY;
    d->kernel->screen(high, d->screen->blocks + block * bz_screen_block_size(d->screen->K), n, &d->screen_query[t]);
    for (size_t i = 0; i < n * BZ_SCREEN_ROWS; i++)
        most = high[i] > most ? high[i] : most;
    head_place(d, t).highest[c] = most;
}

static void head_scan_chunks(void *ctx, size_t begin, size_t end, unsigned worker)
{
    const head_scan *scan = ctx;
    (void)worker;
    for (size_t c = scan->first + begin; c < scan->first + end; c++)
        for (size_t t = 0; t < scan->d->head_count; t++)
            head_scan_chunk(scan, c, t);
}

int bz_decoder_screen_slice(bz_decoder *d, float *high, size_t stride)
{
    const size_t N = d->screen->N, n_chunks = head_chunks(N), first = d->head_row / HEAD_CHUNK_ROWS;
    const size_t chunk_bytes = BZ_SCREEN_CHUNK * bz_screen_block_size(d->screen->K);
    const size_t most = HEAD_SLICE / chunk_bytes > 0 ? HEAD_SLICE / chunk_bytes : 1, left = n_chunks - first;
    const size_t n = left < most ? left : most;
    const size_t threads = bz_thread_pool_size(d->engine->pool);
    head_scan scan = {d, high, stride, first};
    bz_thread_pool_run(d->engine->pool, n, (n + threads - 1) / threads, head_scan_chunks, &scan);
    d->head_row = (first + n) * HEAD_CHUNK_ROWS;
    return first + n < n_chunks;
}

/* The rows of highest bound, one of each of the chunks with the highest; number of rows. */
static size_t head_seed(int32_t rows[HEAD_SEEDS], const float *high, const float *highest, size_t N)
{
    size_t chunks[HEAD_SEEDS], n = 0, n_rows = 0;
    for (size_t c = 0; c < head_chunks(N); c++) {
        size_t at = n < HEAD_SEEDS ? n++ : HEAD_SEEDS;
        for (; at > 0 && highest[chunks[at - 1]] < highest[c]; at--)
            if (at < HEAD_SEEDS)
                chunks[at] = chunks[at - 1];
        if (at < HEAD_SEEDS)
            chunks[at] = c;
    }
    for (size_t i = 0; i < n; i++) {
        const size_t begin = chunks[i] * HEAD_CHUNK_ROWS, end = N - begin < HEAD_CHUNK_ROWS ? N : begin + HEAD_CHUNK_ROWS;
        size_t best = begin;
        for (size_t row = begin; row < end; row++)
            best = high[row] > high[best] ? row : best;
        if (high[best] > -INFINITY)
            rows[n_rows++] = (int32_t)best;
    }
    return n_rows;
}

/* Rows whose bound reaches `floor`, upwards; their number, or SIZE_MAX when they are more than `most`. */
static size_t head_collect(int32_t *rows, size_t most, const float *high, const float *highest, size_t N, float floor)
{
    size_t n = 0;
    for (size_t c = 0; c < head_chunks(N); c++) {
        if (highest[c] < floor)
            continue;
        const size_t begin = c * HEAD_CHUNK_ROWS, end = N - begin < HEAD_CHUNK_ROWS ? N : begin + HEAD_CHUNK_ROWS;
        for (size_t row = begin; row < end; row++) {
            if (high[row] < floor)
                continue;
            if (n == most)
                return SIZE_MAX;
            rows[n++] = (int32_t)row;
        }
    }
    return n;
}

static int32_t head_best(const float *logits, const int32_t *rows, size_t n)
{
    int32_t best = rows[0];
    for (size_t i = 1; i < n; i++)
        if (logits[rows[i]] > logits[best])
            best = rows[i];
    return best;
}

/* Exact logits of the rows that are left, at their places in `high`; number of rows, 0 = too many. */
static size_t head_narrow(bz_decoder *d, size_t t, float *high, const head_scratch *s)
{
    const bz_tensor *w = &d->model->weights.output;
    bz_activations act;
    head_activations(&act, d, t);
    act.q8_ready = d->q8 != NULL && d->head_count == 1; /* bz_matmul_input filled it, or the type does not take it */
    size_t n = head_seed(s->rows, high, s->highest, w->N);
    if (n == 0)
        return 0;
    bz_matmul_rows(high, d->engine, w, s->rows, n, &act);
    const float floor = (float)((double)high[head_best(high, s->rows, n)] - d->screen_query[t].mean);
    for (size_t i = 0; i < n; i++)
        high[s->rows[i]] = INFINITY; /* stays on the list */
    n = head_collect(s->rows, w->N / HEAD_SHARE, high, s->highest, w->N, floor);
    if (n == SIZE_MAX)
        return 0;
    bz_matmul_rows(high, d->engine, w, s->rows, n, &act);
    return n;
}

int32_t bz_decoder_screen_pick(bz_decoder *d, size_t t, float *high, const int32_t *forbidden, size_t n_forbidden)
{
    const head_scratch s = head_place(d, t);
    for (size_t i = 0; i < n_forbidden; i++)
        high[forbidden[i]] = -INFINITY;
    const size_t n = head_narrow(d, t, high, &s);
    d->head_row = 0;
    d->screen_rows += n;
    ++d->screen_tries;
    if (n > 0) {
        d->screen_penalty = 0;
        return head_best(high, s.rows, n);
    }
    d->screen_penalty = d->screen_penalty == 0 ? 1 : d->screen_penalty * 2;
    if (d->screen_penalty > HEAD_LONGEST_WAIT)
        d->screen_penalty = HEAD_LONGEST_WAIT;
    d->screen_wait = d->screen_penalty;
    return -1;
}
