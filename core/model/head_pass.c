/* SPDX-License-Identifier: MIT */
/* The output layer with a coarse copy (compute/screen.h): scan all rows, compute those of the highest bounds exactly, throw out
 * every row whose bound is below the floor that the sampler derives from these, compute what is left exactly.
 * Invariant: a row that is left out has a logit below the floor; the rows that are computed have the bits of the full pass. So
 * whatever depends only on logits from the floor upwards (the largest, the k largest with their ties) is the full pass's.
 * Does not: sample, or give logits of more than the rows it had to compute. */
#include "model/decoder.h"

#include <math.h>
#include <string.h>

enum {
    HEAD_SEEDS = 8,          /* rows that set the floor, at least; a few for each that it must leave */
    HEAD_SEEDS_EACH = 4,
    HEAD_SHARE = 8,          /* more than 1/8 of the rows to compute: the full pass costs less */
    HEAD_LONGEST_WAIT = 64,  /* passes without a try after tries that failed */
    HEAD_CHUNK_ROWS = BZ_SCREEN_CHUNK * BZ_SCREEN_ROWS
};
#define HEAD_SLICE ((size_t)16 << 20) /* bytes of the copy a slice: about a millisecond */

static size_t head_chunks(size_t N)
{
    return (N + HEAD_CHUNK_ROWS - 1) / HEAD_CHUNK_ROWS;
}

/* Rows that can be listed: seeds, and then what is left to compute. */
static size_t head_room(size_t N)
{
    return N / HEAD_SHARE + HEAD_SEEDS + HEAD_SEEDS_EACH * BZ_SCREEN_KEPT;
}

/* ORDER in d->screen_block: query scratch and highest [chunks] of each position, h [K], rows [head_room], chunks [chunks]. */
uint64_t bz_decoder_screen_bytes(size_t N, size_t K)
{
    if (!bz_screen_fits(N, K))
        return 0;
    return (bz_screen_scratch_size(K) + head_chunks(N) * sizeof(float)) * BZ_SCREEN_MOST + K * sizeof(float) +
           (head_room(N) + head_chunks(N)) * sizeof(int32_t);
}

typedef struct head_scratch {
    void *query;
    float *h, *highest;
    int32_t *rows, *chunks;
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
    s.chunks = s.rows + head_room(w->N);
    return s;
}

static void head_activations(bz_activations *a, const bz_decoder *d, size_t t)
{
    bz_activations_set(a, d->a + t * d->config->D, d->config->D, 1, d->config->D, d->q8);
}

int bz_decoder_screen_begin(bz_decoder *d, const bz_screen *screen, float *const *high)
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
        d->screen_high[t] = high[t];
    }
    d->screen = screen;
    d->head_row = 0;
    return 1;
}

typedef struct head_scan {
    const bz_decoder *d;
    size_t first; /* chunk */
} head_scan;

/* One chunk, which stays in cache for all positions. */
static void head_scan_chunk(const head_scan *scan, size_t c, size_t t)
{
    const bz_decoder *d = scan->d;
    const size_t block = c * BZ_SCREEN_CHUNK, left = bz_screen_blocks(d->screen->N) - block;
    const size_t n = left < BZ_SCREEN_CHUNK ? left : BZ_SCREEN_CHUNK;
    float *high = d->screen_high[t] + block * BZ_SCREEN_ROWS, most = -INFINITY;
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

int bz_decoder_screen_slice(bz_decoder *d)
{
    const size_t N = d->screen->N, n_chunks = head_chunks(N), first = d->head_row / HEAD_CHUNK_ROWS;
    const size_t chunk_bytes = BZ_SCREEN_CHUNK * bz_screen_block_size(d->screen->K);
    const size_t most = HEAD_SLICE / chunk_bytes > 0 ? HEAD_SLICE / chunk_bytes : 1, left = n_chunks - first;
    const size_t n = left < most ? left : most;
    const size_t threads = bz_thread_pool_size(d->engine->pool);
    head_scan scan = {d, first};
    bz_thread_pool_run(d->engine->pool, n, (n + threads - 1) / threads, head_scan_chunks, &scan);
    d->head_row = (first + n) * HEAD_CHUNK_ROWS;
    return first + n < n_chunks;
}

/* The chunks by falling `highest`. */
static void head_order_chunks(int32_t *chunks, const float *highest, size_t n)
{
    for (size_t i = 0; i < n; i++)
        chunks[i] = (int32_t)i;
    for (size_t gap = n / 2; gap > 0; gap /= 2) /* Shell's: there are some hundred of them */
        for (size_t i = gap; i < n; i++) {
            const int32_t moved = chunks[i];
            size_t at = i;
            for (; at >= gap && highest[chunks[at - gap]] < highest[moved]; at -= gap)
                chunks[at] = chunks[at - gap];
            chunks[at] = moved;
        }
}

/* Sifts heap[at] down; the root has the lowest bound. */
static void head_sift(int32_t *heap, size_t n, size_t at, const float *high)
{
    const int32_t moved = heap[at];
    for (size_t child = 2 * at + 1; child < n; child = 2 * at + 1) {
        if (child + 1 < n && high[heap[child + 1]] < high[heap[child]])
            child++;
        if (high[heap[child]] >= high[moved])
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = moved;
}

/* The `most` rows of the highest bounds, fewer where fewer are allowed; their number. */
static size_t head_highest(const head_scratch *s, size_t most, const float *high, size_t N)
{
    size_t n = 0;
    head_order_chunks(s->chunks, s->highest, head_chunks(N));
    for (size_t i = 0; i < head_chunks(N); i++) {
        const size_t c = (size_t)s->chunks[i];
        if (n == most && s->highest[c] <= high[s->rows[0]])
            break;
        const size_t begin = c * HEAD_CHUNK_ROWS, end = N - begin < HEAD_CHUNK_ROWS ? N : begin + HEAD_CHUNK_ROWS;
        for (size_t row = begin; row < end; row++) {
            if (n == most && high[row] > high[s->rows[0]]) {
                s->rows[0] = (int32_t)row;
                head_sift(s->rows, n, 0, high);
            } else if (n < most && high[row] > -INFINITY) {
                s->rows[n++] = (int32_t)row;
                for (size_t k = n == most ? n / 2 : 0; k-- > 0;) /* full: a heap from now on */
                    head_sift(s->rows, n, k, high);
            }
        }
    }
    return n;
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

static void head_rows(const bz_decoder *d, size_t t, const int32_t *rows, size_t n, int is_ready)
{
    bz_activations act;
    head_activations(&act, d, t);
    act.q8_ready = d->q8 != NULL && is_ready;
    bz_matmul_rows(d->screen_high[t], d->engine, &d->model->weights.output, rows, n, &act);
}

size_t bz_decoder_screen_seed(bz_decoder *d, size_t t, size_t k, const int32_t **out_rows)
{
    const head_scratch s = head_place(d, t);
    const size_t N = d->model->weights.output.N, wanted = k * HEAD_SEEDS_EACH > HEAD_SEEDS ? k * HEAD_SEEDS_EACH : HEAD_SEEDS;
    const size_t n = head_highest(&s, wanted < N ? wanted : N, d->screen_high[t], N);
    head_rows(d, t, s.rows, n, d->head_count == 1); /* bz_matmul_input filled q8, or the type does not take it */
    d->screen_seeds = n;
    *out_rows = s.rows;
    return n;
}

void bz_decoder_screen_mark(bz_decoder *d, size_t t, int32_t id, int is_in)
{
    d->screen_high[t][id] = is_in ? INFINITY : -INFINITY;
    if (is_in)
        head_place(d, t).highest[id / HEAD_CHUNK_ROWS] = INFINITY;
}

/* Tries become rarer while they fail. */
static void head_note(bz_decoder *d, size_t n)
{
    d->screen_rows += n;
    ++d->screen_tries;
    d->screen_penalty = n > 0 ? 0 : d->screen_penalty == 0 ? 1 : d->screen_penalty * 2;
    if (d->screen_penalty > HEAD_LONGEST_WAIT)
        d->screen_penalty = HEAD_LONGEST_WAIT;
    d->screen_wait = d->screen_penalty;
}

size_t bz_decoder_screen_narrow(bz_decoder *d, size_t t, double floor, const int32_t **out_rows)
{
    const head_scratch s = head_place(d, t);
    const size_t N = d->model->weights.output.N;
    const double least = floor - d->screen_query[t].mean;
    d->head_row = 0;
    for (size_t i = 0; i < d->screen_seeds; i++)
        d->screen_high[t][s.rows[i]] = INFINITY; /* stays on the list */
    size_t n = SIZE_MAX;
    if (isfinite(floor)) /* the float is not above the number, whatever it is */
        n = head_collect(s.rows, N / HEAD_SHARE, d->screen_high[t], s.highest, N, (float)(least - fabs(least) * 1e-6));
    n = n == SIZE_MAX ? 0 : n;
    head_rows(d, t, s.rows, n, 1);
    head_note(d, n);
    *out_rows = s.rows;
    return n;
}
