/* SPDX-License-Identifier: MIT */
/* Attention by blocks of keys: every level gives the bits of the scalar one, and all are the softmax in double; rings,
 * windows, tails of D, extreme scores; how rows and keys are cut changes no bit. */
#include "compute/key_block.h"

#include <bezel/engine.h>

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "compute/kernel.h"
#include "compute/kernel_ref.h"
#include "compute/quant.h"
#include "support/test_engine.h"

Suite *key_block_suite(void);

static const uint32_t levels[] = {BEZEL_ISA_SCALAR, TEST_FAST_LEVELS};
enum { N_LEVELS = sizeof levels / sizeof *levels };

static void fill(float *v, size_t n, float range, uint64_t seed)
{
    bz_rng rng;
    bz_rng_seed(&rng, seed);
    for (size_t i = 0; i < n; i++)
        v[i] = ((float)bz_rng_unit(&rng) * 2.0f - 1.0f) * range;
}

static void *aligned(size_t size)
{
    void *p = aligned_alloc(64, (size + 63) / 64 * 64);
    ck_assert_ptr_nonnull(p);
    return p;
}

/* One head's cache with every position of [0, n) that the ring still holds, and the queries of all positions. */
typedef struct scene {
    size_t D, heads, ring, window, n;
    uint32_t dtype;
    size_t row_size;
    uint8_t *k, *v;
    float *kf, *vf; /* [n, D] what the rows mean */
    float *q;       /* [n, heads, D] */
    float scale;
} scene;

static size_t row_size_of(size_t D, uint32_t dtype)
{
    return dtype == BZ_DTYPE_F32 ? 4 * D : dtype == BZ_DTYPE_F16 ? 2 * D : 4 + D;
}

/* Stores the row and puts what it means into x. */
static void put_row(uint8_t *row, float *x, size_t D, uint32_t dtype)
{
    if (dtype == BZ_DTYPE_F32) {
        memcpy(row, x, 4 * D);
        return;
    }
    if (dtype == BZ_DTYPE_I8) {
        float scale;
        bz_key_row_int8(row, x, D);
        memcpy(&scale, row, sizeof scale);
        for (size_t i = 0; i < D; i++)
            x[i] = (float)(int8_t)row[sizeof scale + i] * scale;
        return;
    }
    for (size_t i = 0; i < D; i++) {
        const uint16_t h = bz_f32_to_f16(x[i]);
        memcpy(row + 2 * i, &h, 2);
        x[i] = bz_f16_to_f32(h);
    }
}

static void scene_open(scene *s, size_t D, size_t heads, size_t ring, size_t window, size_t n, uint32_t dtype)
{
    *s = (scene){D, heads, ring, window, n, dtype, row_size_of(D, dtype), NULL, NULL, NULL, NULL, NULL, 0.0625f};
    s->k = aligned(ring * s->row_size);
    s->v = aligned(ring * s->row_size);
    memset(s->k, 0xff, ring * s->row_size); /* NaN where nothing is stored */
    memset(s->v, 0xff, ring * s->row_size);
    s->kf = aligned(4 * n * D);
    s->vf = aligned(4 * n * D);
    s->q = aligned(4 * n * heads * D);
    fill(s->kf, n * D, 3.0f, 21);
    fill(s->vf, n * D, 3.0f, 22);
    fill(s->q, n * heads * D, 2.0f, 23);
}

static void scene_store(scene *s, size_t begin, size_t end)
{
    for (size_t p = begin; p < end; p++) {
        put_row(s->k + p % s->ring * s->row_size, s->kf + p * s->D, s->D, s->dtype);
        put_row(s->v + p % s->ring * s->row_size, s->vf + p * s->D, s->D, s->dtype);
    }
}

static void scene_close(scene *s)
{
    free(s->k);
    free(s->v);
    free(s->kf);
    free(s->vf);
    free(s->q);
}

static bz_key_rows scene_rows(const scene *s)
{
    return (bz_key_rows){s->k, s->v, s->row_size, s->ring, s->D, s->dtype, NULL, NULL, 0, 0};
}

static bz_key_queries scene_queries(const scene *s, float *out, size_t position, size_t positions)
{
    const size_t stride = s->heads * s->D;
    return (bz_key_queries){s->q + position * stride, out + position * stride, stride, s->heads, position, positions, s->window,
                            s->scale};
}

/* Positions [begin, end) in steps, storing their rows first as a pass does. */
static void scene_run(scene *s, float *out, const bz_kernel *kernel, size_t begin, size_t end, size_t step, size_t slack)
{
    void *scratch = aligned(bz_key_scratch_size(s->D));
    const bz_key_rows rows = scene_rows(s);
    memset(scratch, 0xff, bz_key_scratch_size(s->D));
    for (size_t p = begin; p < end; p += step) {
        const size_t n = end - p < step ? end - p : step;
        if (p % slack == 0)
            scene_store(s, p, p + slack < s->n ? p + slack : s->n);
        const bz_key_queries q = scene_queries(s, out, p, n);
        bz_key_attend(kernel, &q, &rows, scratch);
    }
    free(scratch);
}

static void attention_exact(double *want, const scene *s, size_t position, size_t head)
{
    const size_t first = bz_key_first(position, s->window), n = position - first + 1;
    const float *q = s->q + (position * s->heads + head) * s->D;
    double *p = calloc(n, sizeof *p), most = -1e300, sum = 0.0;
    for (size_t r = 0; r < n; r++) {
        for (size_t i = 0; i < s->D; i++)
            p[r] += (double)q[i] * (double)s->kf[(first + r) * s->D + i];
        p[r] *= (double)s->scale;
        most = fmax(most, p[r]);
    }
    for (size_t r = 0; r < n; r++)
        sum += p[r] = exp(p[r] - most);
    memset(want, 0, s->D * sizeof *want);
    for (size_t r = 0; r < n; r++)
        for (size_t i = 0; i < s->D; i++)
            want[i] += p[r] / sum * (double)s->vf[(first + r) * s->D + i];
    free(p);
}

typedef struct cache_case {
    size_t D, heads, ring, window, n;
    uint32_t dtype;
} cache_case;

/* Rings are at least a window and the 16 positions that scene_run stores at a time. */
static const cache_case cases[] = {
    {256, 4, 140, 0, 140, BZ_DTYPE_F16}, {256, 4, 96, 64, 200, BZ_DTYPE_F16},  {256, 4, 96, 64, 150, BZ_DTYPE_I8},
    {256, 1, 150, 100, 333, BZ_DTYPE_F32}, {128, 2, 200, 0, 200, BZ_DTYPE_F16}, {64, 3, 79, 63, 200, BZ_DTYPE_F32},
    {80, 8, 81, 65, 170, BZ_DTYPE_I8},   {33, 2, 130, 0, 130, BZ_DTYPE_F16},   {20, 5, 40, 7, 130, BZ_DTYPE_F32},
    {7, 4, 20, 1, 70, BZ_DTYPE_I8},      {1, 1, 70, 0, 70, BZ_DTYPE_F16},      {300, 6, 90, 70, 140, BZ_DTYPE_F16},
};
enum { N_CASES = sizeof cases / sizeof *cases, SLACK = 16 };

static void open_case(scene *s, int i)
{
    const cache_case *c = &cases[i];
    scene_open(s, c->D, c->heads, c->ring, c->window, c->n, c->dtype);
}

START_TEST(every_level_is_the_softmax_and_has_the_bits_of_the_scalar_one)
{
    scene s;
    open_case(&s, _i);
    const size_t size = s.n * s.heads * s.D;
    float *want = aligned(4 * size), *got = aligned(4 * size);
    double *exact = calloc(s.D, sizeof *exact);
    scene_run(&s, want, &bz_kernel_ref, 0, s.n, 1, SLACK);
    for (size_t p = 0; p < s.n; p += 13) {
        for (size_t h = 0; h < s.heads; h++) {
            attention_exact(exact, &s, p, h);
            for (size_t i = 0; i < s.D; i++)
                ck_assert_msg(fabs((double)want[(p * s.heads + h) * s.D + i] - exact[i]) < 2e-5, "position %zu head %zu [%zu]", p, h, i);
        }
    }
    for (int level = 0; level < N_LEVELS; level++) {
        const bz_kernel *k = bz_kernel_find(levels[level]);
        if (!k)
            continue;
        for (size_t step = level == 0 ? 8 : 1; step <= SLACK && step * s.heads <= BZ_KEY_QUERIES; step *= level == 0 ? 4 : 2) {
            memset(got, 0xff, 4 * size);
            scene_run(&s, got, k, 0, s.n, step, SLACK);
            for (size_t i = 0; i < size; i++)
                ck_assert_msg(got[i] == want[i], "%s step %zu position %zu head %zu [%zu]: %.9g, scalar alone %.9g", k->name, step,
                              i / s.D / s.heads, i / s.D % s.heads, i % s.D, (double)got[i], (double)want[i]);
        }
    }
    free(exact);
    free(want);
    free(got);
    scene_close(&s);
}
END_TEST

START_TEST(keys_cut_into_parts_give_the_same_bits)
{
    scene s;
    open_case(&s, _i);
    if (s.window != 0)
        s.window = s.ring - SLACK;
    const size_t stride = bz_key_part_stride(s.D), last = s.n - 1, at = last * s.heads * s.D;
    float *want = aligned(4 * s.n * s.heads * s.D), *got = aligned(4 * s.n * s.heads * s.D);
    float *part = aligned(4 * stride * s.heads), *whole = aligned(4 * stride * s.heads);
    void *scratch = aligned(bz_key_scratch_size(s.D));
    for (size_t p = 0; p < s.n; p += SLACK)
        scene_store(&s, p, p + SLACK < s.n ? p + SLACK : s.n);
    const bz_key_rows rows = scene_rows(&s);
    for (int level = 0; level < N_LEVELS; level++) {
        const bz_kernel *k = bz_kernel_find(levels[level]);
        if (!k)
            continue;
        const bz_key_queries q = scene_queries(&s, want, last, 1), cut = scene_queries(&s, got, last, 1);
        bz_key_attend(k, &q, &rows, scratch);
        bz_key_part_clear(whole, s.heads, s.D);
        for (size_t b = bz_key_first(last, s.window) / BZ_KEY_BLOCK; b <= last / BZ_KEY_BLOCK; b++) {
            bz_key_part(part, k, &cut, &rows, b, scratch);
            bz_key_part_join(whole, part, k, s.heads, s.D);
        }
        bz_key_part_finish(whole, &cut, s.D);
        for (size_t i = at; i < at + s.heads * s.D; i++)
            ck_assert_msg(got[i] == want[i], "%s [%zu]: %.9g in parts, %.9g at once", k->name, i - at, (double)got[i], (double)want[i]);
    }
    free(scratch);
    free(whole);
    free(part);
    free(want);
    free(got);
    scene_close(&s);
}
END_TEST

/* Scores of all rows are `low`, of row `at` (if there) `high`; returns through out [D] of one head on each level. */
static void check_scores(float low, float high, size_t n, size_t at, float want_row)
{
    enum { D = 16 };
    float *k = calloc(n, D * sizeof *k), *v = aligned(n * D * sizeof *v), q[D] = {1.0f}, out[D], first[D];
    void *scratch = aligned(bz_key_scratch_size(D));
    fill(v, n * D, 5.0f, 2);
    for (size_t i = 0; i < n; i++)
        k[i * D] = i == at ? high : low;
    for (int level = 0; level < N_LEVELS; level++) {
        const bz_kernel *kernel = bz_kernel_find(levels[level]);
        if (!kernel)
            continue;
        const bz_key_rows rows = {(const uint8_t *)k, (const uint8_t *)v, D * sizeof *k, n, D, BZ_DTYPE_F32,
                                  NULL, NULL, 0, 0};
        const bz_key_queries queries = {q, out, D, 1, n - 1, 1, 0, 1.0f};
        bz_key_attend(kernel, &queries, &rows, scratch);
        for (size_t i = 0; i < D; i++) {
            const float want = want_row == 0.0f ? 0.0f : v[at * D + i];
            ck_assert_msg(isnan(want_row) ? isnan(out[i]) : fabsf(out[i] - want) < 1e-5f, "%s [%zu] %g", kernel->name, i, (double)out[i]);
        }
        if (level == 0)
            memcpy(first, out, sizeof first);
        if (!isnan(want_row))
            ck_assert_mem_eq(out, first, sizeof first);
    }
    free(scratch);
    free(k);
    free(v);
}

START_TEST(extreme_scores_pick_the_best_row_or_none)
{
    check_scores(0.0f, 10000.0f, 3, 1, 1.0f);
    check_scores(-3e38f, 3e38f, 200, 130, 1.0f);
    check_scores(-3e38f, -3e38f + 1e33f, 150, 149, 1.0f);
    check_scores(-200.0f, 0.0f, 150, 0, 1.0f);
    check_scores(7.0f, 7.0f, 1, 0, 1.0f);
    check_scores(-INFINITY, -INFINITY, 100, 0, 0.0f); /* nothing counts */
    check_scores(-INFINITY, 4.0f, 100, 70, 1.0f);
    check_scores(1.0f, NAN, 100, 99, NAN);
    check_scores(1.0f, INFINITY, 100, 3, NAN);
}
END_TEST

START_TEST(a_row_of_bytes_is_within_half_a_step_and_keeps_what_is_no_number)
{
    enum { D = 33 };
    float x[D], back[48];
    uint8_t row[4 + D];
    for (int range = -45; range < 39; range += 3) {
        fill(x, D, powf(10.0f, (float)range), (uint64_t)(range + 50));
        float most = 0.0f;
        for (size_t i = 0; i < D; i++)
            most = fmaxf(most, fabsf(x[i]));
        bz_key_row_int8(row, x, D);
        bz_ref_key_expand(back, 48, row, sizeof row, BZ_DTYPE_I8, D, 1);
        for (size_t i = 0; i < D; i++) /* below 1e-30 a row is zero */
            ck_assert_msg(fabsf(back[i] - x[i]) <= fmaxf(most / 253.9f, 1e-30f), "%g, expected %g", (double)back[i], (double)x[i]);
    }
    x[7] = NAN;
    bz_key_row_int8(row, x, D);
    bz_ref_key_expand(back, 48, row, sizeof row, BZ_DTYPE_I8, D, 1);
    ck_assert(isnan(back[0]) && isnan(back[7]) && back[D] == 0.0f);
    x[7] = -INFINITY;
    bz_key_row_int8(row, x, D);
    bz_ref_key_expand(back, 48, row, sizeof row, BZ_DTYPE_I8, D, 1);
    ck_assert(isnan(back[0]) && isnan(back[7]));
}
END_TEST

START_TEST(the_exponential_is_right_to_its_last_place)
{
    double worst = 0.0;
    for (float x = 0.0f; x > -87.0f; x -= 0.00037f) {
        const double want = exp((double)x), ulp = (double)(nextafterf((float)want, INFINITY) - (float)want);
        worst = fmax(worst, fabs((double)bz_key_exp(x) - want) / ulp);
    }
    ck_assert_msg(worst < 1.1, "%g units in the last place", worst);
    ck_assert(bz_key_exp(0.0f) == 1.0f);
    ck_assert(bz_key_exp(-87.01f) == 0.0f);
    ck_assert(bz_key_exp(-INFINITY) == 0.0f);
    ck_assert(isnan(bz_key_exp(NAN)));
}
END_TEST

Suite *key_block_suite(void)
{
    Suite *s = suite_create("key_block");
    TCase *c = tcase_create("blocks");
    tcase_set_timeout(c, 30);
    tcase_add_loop_test(c, every_level_is_the_softmax_and_has_the_bits_of_the_scalar_one, 0, N_CASES);
    tcase_add_loop_test(c, keys_cut_into_parts_give_the_same_bits, 0, N_CASES);
    tcase_add_test(c, extreme_scores_pick_the_best_row_or_none);
    tcase_add_test(c, a_row_of_bytes_is_within_half_a_step_and_keeps_what_is_no_number);
    tcase_add_test(c, the_exponential_is_right_to_its_last_place);
    suite_add_tcase(s, c);
    return s;
}
