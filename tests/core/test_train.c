/* SPDX-License-Identifier: MIT */
/* Training: every gradient against central differences in f64, for each kind of layer; packs, threads, checkpointing and
 * dropout leave them what they are; the optimiser's steps. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/rng.h"
#include "support/model_maker.h"
#include "support/tiny_model.h"
#include "support/train_reference.h"
#include "train/optimizer.h"

Suite *train_suite(void);

enum { ALL = (1 << BZ_N_TARGETS) - 1, MOST = 64 };

/* --- Helpers ------------------------------------------------------------------------------ */

typedef struct pack_of {
    int32_t ids[MOST], targets[MOST];
    uint32_t first[MOST];
    bz_train_pack pack;
} pack_of;

/* Examples of the given lengths; every other position has a target. */
static void fill_pack(pack_of *p, const size_t *lengths, size_t n, uint32_t V)
{
    bz_rng rng;
    bz_rng_seed(&rng, 9);
    p->pack = (bz_train_pack){p->ids, p->targets, p->first, 0};
    for (size_t i = 0; i < n; i++) {
        const size_t first = p->pack.T;
        for (size_t t = 0; t < lengths[i]; t++, p->pack.T++) {
            p->ids[p->pack.T] = (int32_t)(bz_rng_next(&rng) % V);
            p->targets[p->pack.T] = t % 2 == 1 ? (int32_t)(bz_rng_next(&rng) % V) : -1;
            p->first[p->pack.T] = (uint32_t)first;
        }
    }
}

/* Tiny, but with all that a layer has: two KV heads of two query heads, a window that is shorter than an example. */
static void open_model(tiny_model *t, const char *arch, uint32_t layers, uint32_t dtype, uint32_t threads)
{
    char path[MODEL_MAKER_PATH];
    bezel_engine_options o;
    bezel_error err = BEZEL_ERROR_INIT;
    model_maker k;
    model_maker_init(&k, 3);
    k.arch = arch;
    k.layers = layers;
    k.D = k.F = 32;
    k.H = 4;
    k.Hkv = 2;
    k.Dh = 8;
    k.window = 5;
    k.matrix_dtype = k.embedding_dtype = dtype;
    model_maker_file(&k, path);
    bezel_engine_options_init(&o);
    o.threads = threads;
    ck_assert_int_eq(bezel_engine_new(&t->engine, &o, NULL), BEZEL_OK);
    ck_assert_msg(bezel_model_open(&t->model, t->engine, path, NULL, &err) == BEZEL_OK, "%s", err.text);
    unlink(path);
}

static uint32_t places(const bezel_adapter *a)
{
    return a->model->config.n_layers * BZ_N_TARGETS;
}

static size_t half_size(const bezel_adapter *a, uint32_t place, int is_b)
{
    const bz_tensor *m = bz_adapter_matrix(a->model, place / BZ_N_TARGETS, place % BZ_N_TARGETS);
    return (is_b ? m->N : m->K) * a->pairs[place].rank;
}

/* Pairs of rank 2 with both halves random. */
static bezel_adapter *random_pairs(const bezel_model *model, uint32_t mask)
{
    bezel_adapter *a = NULL;
    bz_rng rng;
    bz_rng_seed(&rng, 4);
    ck_assert_int_eq(bz_train_adapter_new(&a, model, mask, 2, 1.5f, 7, NULL), BEZEL_OK);
    for (uint32_t i = 0; i < places(a); i++)
        for (size_t j = 0; j < half_size(a, i, 1); j++)
            a->pairs[i].b[j] = (float)bz_rng_unit(&rng) * 0.4f - 0.2f;
    return a;
}

static bz_trainer *trainer_in(bezel_adapter *a, int recompute, float dropout, int bf16)
{
    const bz_train_options o = {.rows = MOST, .recompute = recompute, .bf16 = bf16, .dropout = dropout, .seed = 5};
    bz_trainer *t = NULL;
    bezel_error err = BEZEL_ERROR_INIT;
    ck_assert_msg(bz_trainer_new(&t, a, &o, &err) == BEZEL_OK, "%s", err.text);
    return t;
}

static bz_trainer *trainer_with(bezel_adapter *a, int recompute, float dropout)
{
    return trainer_in(a, recompute, dropout, 0);
}

static void pass(bz_trainer *t, const bz_train_pack *pack)
{
    bz_trainer_begin(t, pack, 1.0);
    while (bz_trainer_unit(t)) {}
}

/* --- Gradients ---------------------------------------------------------------------------- */

/* g against slopes of the reference by p [n]: each by 1e-4 of itself and of the matrix's size, all by 1e-4. */
static void check_half(const train_reference *r, const bz_train_pack *pack, const float *g, double *p, size_t n, const char *what,
                       uint32_t layer)
{
    double *slope = malloc(n * sizeof *slope), off = 0.0, size = 0.0;
    for (size_t i = 0; i < n; i++) {
        slope[i] = train_reference_slope(r, pack, &p[i]);
        off += (slope[i] - (double)g[i]) * (slope[i] - (double)g[i]);
        size += slope[i] * slope[i];
    }
    ck_assert_msg(size > 0.0, "%s of layer %u has no gradient", what, layer);
    ck_assert_msg(sqrt(off / size) <= 1e-4, "%s of layer %u is off by %g", what, layer, sqrt(off / size));
    for (size_t i = 0; i < n; i++)
        ck_assert_msg(fabs(slope[i] - (double)g[i]) <= 1e-4 * (fabs(slope[i]) + sqrt(size / (double)n)),
                      "%s of layer %u: number %zu is %g, expected %g", what, layer, i, (double)g[i], slope[i]);
    free(slope);
}

static const struct {
    const char *arch;
    uint32_t layers, global, dtype; /* global: bits of the layers that see all */
} kinds[] = {
    {"gemma3", 2, 2, BZ_DTYPE_F32},
    {"gemma3", 2, 1, BZ_DTYPE_Q8_0},
    {"gemma", 2, 3, BZ_DTYPE_F32},
};

START_TEST(gradients_are_the_slopes_of_the_loss)
{
    const size_t lengths[] = {11, 1, 8};
    tiny_model m = {0};
    train_reference r;
    pack_of p;
    open_model(&m, kinds[_i].arch, kinds[_i].layers, kinds[_i].dtype, 2);
    for (uint32_t l = 0; l < kinds[_i].layers; l++)
        m.model->config.is_global[l] = kinds[_i].global >> l & 1;
    bezel_adapter *a = random_pairs(m.model, ALL);
    bz_trainer *t = trainer_with(a, 0, 0.0f);
    fill_pack(&p, lengths, 3, m.model->config.V);
    train_reference_init(&r, a);
    pass(t, &p.pack);
    const double loss = train_reference_loss(&r, &p.pack);
    ck_assert_msg(fabs(t->loss - loss) <= 1e-5 * loss, "loss %g, expected %g", t->loss, loss);
    ck_assert_uint_eq(t->labels, 9);
    for (uint32_t i = 0; i < places(a); i++) {
        const char *name = bz_adapter_targets[i % BZ_N_TARGETS].module;
        check_half(&r, &p.pack, t->grad->pairs[i].a, r.a[i], half_size(a, i, 0), name, i / BZ_N_TARGETS);
        check_half(&r, &p.pack, t->grad->pairs[i].b, r.b[i], half_size(a, i, 1), name, i / BZ_N_TARGETS);
    }
    train_reference_free(&r);
    bz_trainer_free(t);
    bezel_adapter_free(a);
    tiny_model_close(&m);
}
END_TEST

/* Half h of `a` less that of `b`, over its own length. */
static double apart(const bezel_adapter *a, const bezel_adapter *b, uint32_t place, int is_b)
{
    const float *x = is_b ? a->pairs[place].b : a->pairs[place].a, *y = is_b ? b->pairs[place].b : b->pairs[place].a;
    double off = 0.0, size = 0.0;
    for (size_t i = 0; i < half_size(a, place, is_b); i++) {
        off += ((double)x[i] - (double)y[i]) * ((double)x[i] - (double)y[i]);
        size += (double)y[i] * (double)y[i];
    }
    return sqrt(off / (size > 0.0 ? size : 1.0));
}

static double most_apart(const bezel_adapter *a, const bezel_adapter *b)
{
    double most = 0.0;
    for (uint32_t i = 0; i < places(a) * 2; i++)
        most = fmax(most, apart(a, b, i / 2, (int)(i % 2)));
    return most;
}

START_TEST(a_pack_teaches_what_its_examples_do)
{
    const size_t lengths[] = {11, 7, 13};
    tiny_model m = {0};
    pack_of p;
    open_model(&m, "gemma3", 7, BZ_DTYPE_Q8_0, 2);
    bezel_adapter *a = random_pairs(m.model, ALL);
    bz_trainer *whole = trainer_with(a, 0, 0.0f), *single = trainer_with(a, 0, 0.0f);
    fill_pack(&p, lengths, 3, m.model->config.V);
    pass(whole, &p.pack);
    for (size_t i = 0, at = 0; i < 3; at += lengths[i++]) {
        uint32_t first[MOST] = {0};
        const bz_train_pack one = {p.ids + at, p.targets + at, first, lengths[i]};
        pass(single, &one);
    }
    ck_assert_double_eq_tol(whole->loss, single->loss, 1e-6 * whole->loss);
    ck_assert_uint_eq(whole->labels, single->labels);
    ck_assert_uint_eq(whole->hits, single->hits);
    ck_assert_double_lt(most_apart(single->grad, whole->grad), 1e-5);
    bz_trainer_free(whole);
    bz_trainer_free(single);
    bezel_adapter_free(a);
    tiny_model_close(&m);
}
END_TEST

/* Loss and gradients of a pass in a fresh engine, written into one block that is compared bit for bit. */
static float *bits_of(uint32_t threads, int recompute, float dropout, size_t *out_n)
{
    const size_t lengths[] = {30, 7, 13};
    tiny_model m = {0};
    pack_of p;
    size_t n = 0;
    open_model(&m, "gemma3", 7, BZ_DTYPE_Q8_0, threads);
    bezel_adapter *a = random_pairs(m.model, ALL);
    bz_trainer *t = trainer_with(a, recompute, dropout);
    fill_pack(&p, lengths, 3, m.model->config.V);
    pass(t, &p.pack);
    for (uint32_t i = 0; i < places(a) * 2; i++)
        n += half_size(a, i / 2, (int)(i % 2));
    float *bits = malloc((n + 1) * sizeof *bits);
    ck_assert_ptr_nonnull(bits);
    *out_n = 0;
    bits[(*out_n)++] = (float)t->loss;
    for (uint32_t i = 0; i < places(a) * 2; i++) {
        const size_t size = half_size(a, i / 2, (int)(i % 2));
        memcpy(bits + *out_n, i % 2 ? t->grad->pairs[i / 2].b : t->grad->pairs[i / 2].a, size * sizeof *bits);
        *out_n += size;
    }
    bz_trainer_free(t);
    bezel_adapter_free(a);
    tiny_model_close(&m);
    return bits;
}

START_TEST(threads_and_checkpointing_change_no_bit)
{
    static const struct {
        uint32_t threads;
        int recompute;
    } other[] = {{3, 0}, {1, 1}, {4, 1}};
    size_t n, other_n;
    for (int dropout = 0; dropout < 2; dropout++) {
        float *bits = bits_of(1, 0, dropout ? 0.3f : 0.0f, &n);
        for (size_t i = 0; i < sizeof other / sizeof other[0]; i++) {
            float *others = bits_of(other[i].threads, other[i].recompute, dropout ? 0.3f : 0.0f, &other_n);
            ck_assert_uint_eq(n, other_n);
            ck_assert_mem_eq(bits, others, n * sizeof *bits);
            free(others);
        }
        free(bits);
    }
}
END_TEST

/* Loss of the same pass again, with `step` times the gradient added to the numbers. */
static double loss_along(bz_trainer *t, const bz_train_pack *pack, const bezel_adapter *direction, double step)
{
    for (uint32_t i = 0; i < places(direction) * 2; i++) {
        float *x = i % 2 ? t->adapter->pairs[i / 2].b : t->adapter->pairs[i / 2].a;
        const float *d = i % 2 ? direction->pairs[i / 2].b : direction->pairs[i / 2].a;
        for (size_t k = 0; k < half_size(direction, i / 2, (int)(i % 2)); k++)
            x[k] += (float)step * d[k];
    }
    --t->pass; /* the same dropout */
    bz_trainer_clear(t);
    pass(t, pack);
    return t->loss;
}

START_TEST(gradients_go_through_dropout)
{
    const size_t lengths[] = {30, 13};
    tiny_model m = {0};
    pack_of p;
    open_model(&m, "gemma3", 7, BZ_DTYPE_F32, 2);
    bezel_adapter *a = random_pairs(m.model, ALL);
    bz_trainer *t = trainer_with(a, 0, 0.3f), *copy = trainer_with(a, 0, 0.3f), *dry = trainer_with(a, 0, 0.0f);
    fill_pack(&p, lengths, 2, m.model->config.V);
    pass(t, &p.pack);
    pass(copy, &p.pack);
    pass(dry, &p.pack);
    ck_assert_double_gt(most_apart(t->grad, dry->grad), 0.05);
    const double length = bz_gradient_norm(copy->grad), step = 2e-3 / length;
    const double above = loss_along(t, &p.pack, copy->grad, step), below = loss_along(t, &p.pack, copy->grad, -2.0 * step);
    ck_assert_double_eq_tol((above - below) / (2.0 * step), length * length, 0.01 * length * length);
    /* Another pass drops others; a pass for the loss alone none. */
    const double once = loss_along(t, &p.pack, copy->grad, step);
    bz_trainer_clear(t);
    pass(t, &p.pack);
    ck_assert_double_ne(t->loss, once);
    bz_trainer_clear(t);
    bz_trainer_begin_loss(t, &p.pack, 1.0);
    while (bz_trainer_unit(t)) {}
    ck_assert_double_eq_tol(t->loss, dry->loss, 1e-5 * dry->loss);
    ck_assert_double_eq(bz_gradient_norm(t->grad), 0.0);
    bz_trainer_free(t);
    bz_trainer_free(copy);
    bz_trainer_free(dry);
    bezel_adapter_free(a);
    tiny_model_close(&m);
}
END_TEST

START_TEST(matrices_without_a_pair_are_passed_through)
{
    const size_t lengths[] = {11, 7};
    tiny_model m = {0};
    pack_of p;
    open_model(&m, "gemma3", 3, BZ_DTYPE_Q8_0, 2);
    bezel_adapter *all = random_pairs(m.model, ALL), *some = random_pairs(m.model, 1 << BZ_TARGET_V);
    for (uint32_t i = 0; i < places(all); i++)
        if (some->pairs[i].rank > 0) { /* the same numbers; the others of `all` add nothing */
            memcpy(some->pairs[i].a, all->pairs[i].a, half_size(all, i, 0) * sizeof(float));
            memcpy(some->pairs[i].b, all->pairs[i].b, half_size(all, i, 1) * sizeof(float));
        } else {
            memset(all->pairs[i].b, 0, half_size(all, i, 1) * sizeof(float));
        }
    bz_trainer *t = trainer_with(all, 0, 0.0f), *other = trainer_with(some, 1, 0.0f);
    fill_pack(&p, lengths, 2, m.model->config.V);
    pass(t, &p.pack);
    pass(other, &p.pack);
    ck_assert_double_eq_tol(t->loss, other->loss, 1e-6 * t->loss);
    for (uint32_t l = 0; l < 3; l++)
        for (int h = 0; h < 2; h++)
            ck_assert_double_lt(apart(t->grad, other->grad, l * BZ_N_TARGETS + BZ_TARGET_V, h), 1e-5);
    bz_trainer_free(t);
    bz_trainer_free(other);
    bezel_adapter_free(all);
    bezel_adapter_free(some);
    tiny_model_close(&m);
}
END_TEST

START_TEST(what_cannot_be_trained_is_refused)
{
    tiny_model m = {0};
    bz_trainer *t = NULL;
    bezel_adapter *none = NULL;
    bz_train_options o = {.rows = 0};
    open_model(&m, "gemma3", 2, BZ_DTYPE_Q8_0, 1);
    bezel_adapter *a = random_pairs(m.model, ALL);
    ck_assert_int_eq(bz_trainer_new(&t, a, &o, NULL), BEZEL_ERR_RANGE);
    o.rows = 8;
    o.dropout = 1.0f;
    ck_assert_int_eq(bz_trainer_new(&t, a, &o, NULL), BEZEL_ERR_RANGE);
    o.dropout = 0.0f;
    ck_assert_int_eq(bz_adapter_new(&none, m.model, NULL), BEZEL_OK);
    ck_assert_int_eq(bz_trainer_new(&t, none, &o, NULL), BEZEL_ERR_MISSING);
    m.model->config.attn_softcap = 50.0f;
    ck_assert_int_eq(bz_trainer_new(&t, a, &o, NULL), BEZEL_ERR_UNSUPPORTED);
    ck_assert_ptr_null(t);
    bezel_adapter_free(a);
    bezel_adapter_free(none);
    tiny_model_close(&m);
}
END_TEST

/* --- PyTorch ------------------------------------------------------------------------------ */

static void read_all(void *out, size_t size, FILE *file)
{
    ck_assert_uint_eq(fread(out, 1, size, file), size);
}

/* A and B [rows, columns] of the file into the adapter's layout. */
static void read_halves(bezel_adapter *a, FILE *file)
{
    for (uint32_t i = 0; i < places(a) * 2; i++) {
        const bz_tensor *m = bz_adapter_matrix(a->model, i / 2 / BZ_N_TARGETS, i / 2 % BZ_N_TARGETS);
        const size_t rank = a->pairs[i / 2].rank, rows = i % 2 ? m->N : rank, columns = i % 2 ? rank : m->K;
        float *to = i % 2 ? a->pairs[i / 2].b : a->pairs[i / 2].a;
        for (size_t r = 0; r < rows; r++)
            for (size_t c = 0; c < columns; c++)
                read_all(&to[c * rows + r], sizeof *to, file);
    }
}

/* The examples of tests/golden/tiny_train.bin as one pack; its number of targets. */
static size_t read_examples(pack_of *p, FILE *file, uint32_t *out_steps)
{
    uint32_t head[3];
    int32_t ids[MOST * 4], targets[MOST * 4];
    size_t n = 0;
    read_all(head, sizeof head, file);
    ck_assert_uint_le(head[0] * head[1], MOST * 4);
    read_all(ids, head[0] * head[1] * sizeof *ids, file);
    read_all(targets, head[0] * head[1] * sizeof *targets, file);
    p->pack = (bz_train_pack){p->ids, p->targets, p->first, 0};
    for (size_t e = 0; e < head[0]; e++) {
        const size_t first = p->pack.T;
        for (size_t i = e * head[1]; i < (e + 1) * head[1] && ids[i] >= 0; i++, p->pack.T++) {
            ck_assert_uint_lt(p->pack.T, MOST);
            p->ids[p->pack.T] = ids[i];
            p->targets[p->pack.T] = targets[i];
            p->first[p->pack.T] = (uint32_t)first;
            n += targets[i] >= 0;
        }
    }
    *out_steps = head[2];
    return n;
}

/* Length of the difference of all numbers. */
static double distance(const bezel_adapter *a, const bezel_adapter *b)
{
    double sum = 0.0;
    for (uint32_t i = 0; i < places(a) * 2; i++) {
        const float *x = i % 2 ? a->pairs[i / 2].b : a->pairs[i / 2].a, *y = i % 2 ? b->pairs[i / 2].b : b->pairs[i / 2].a;
        for (size_t k = 0; k < half_size(a, i / 2, (int)(i % 2)); k++)
            sum += ((double)x[k] - (double)y[k]) * ((double)x[k] - (double)y[k]);
    }
    return sqrt(sum);
}

/* Where make_tiny_train.py starts. */
static bezel_adapter *start_of_pytorch(bezel_model *model)
{
    bezel_adapter *a = NULL;
    ck_assert_int_eq(bezel_adapter_open(&a, model, "tests/golden/tiny_adapter", NULL), BEZEL_OK);
    for (uint32_t i = 0; i < places(a) * 2; i++)
        for (size_t k = 0; k < half_size(a, i / 2, (int)(i % 2)); k++)
            (i % 2 ? a->pairs[i / 2].b : a->pairs[i / 2].a)[k] *= 0.3f;
    return a;
}

START_TEST(loss_gradients_and_ten_steps_are_those_of_pytorch)
{
    tiny_model m = {0};
    pack_of p;
    bezel_adapter *theirs = NULL;
    bz_optimizer o;
    float loss;
    uint32_t steps;
    FILE *file = fopen("tests/golden/tiny_train.bin", "rb");
    ck_assert_ptr_nonnull(file);
    tiny_model_open(&m, _i == 0 ? BEZEL_ISA_SCALAR : BEZEL_ISA_AUTO, 2, NULL);
    bezel_adapter *a = start_of_pytorch(m.model), *start = start_of_pytorch(m.model);
    ck_assert_int_eq(bz_train_same_shapes(&theirs, a, NULL), BEZEL_OK);
    ck_assert_int_eq(bz_optimizer_init(&o, a, 0.01f, NULL), BEZEL_OK);
    bz_trainer *t = trainer_with(a, 1, 0.0f);
    const double weight = 1.0 / (double)read_examples(&p, file, &steps);

    bz_trainer_begin(t, &p.pack, weight);
    while (bz_trainer_unit(t)) {}
    read_all(&loss, sizeof loss, file);
    ck_assert_double_eq_tol(t->loss, (double)loss, 1e-4 * (double)loss);
    read_halves(theirs, file);
    ck_assert_double_lt(most_apart(t->grad, theirs), 1e-3);

    for (uint32_t i = 0; i < steps; i++) {
        bz_trainer_clear(t);
        bz_trainer_begin(t, &p.pack, weight);
        while (bz_trainer_unit(t)) {}
        read_all(&loss, sizeof loss, file);
        ck_assert_double_eq_tol(t->loss, (double)loss, 1e-4 * (double)loss);
        bz_optimizer_step(&o, t->grad, 1e-3, bz_gradient_clip(bz_gradient_norm(t->grad), 1.0));
    }
    read_halves(theirs, file);
    ck_assert_int_eq(fgetc(file), EOF);
    ck_assert_double_lt(distance(a, theirs), 0.01 * distance(theirs, start));
    fclose(file);
    bz_trainer_free(t);
    bz_optimizer_free(&o);
    bezel_adapter_free(a);
    bezel_adapter_free(start);
    bezel_adapter_free(theirs);
    tiny_model_close(&m);
}
END_TEST

/* bf16 has 8 bits: a product is off by 2^-8 of its size at most, sums by less. With the random weights here, which add
 * nothing up, gradient and change of ten steps stay within 10 and 15 %. */
START_TEST(bf16_teaches_what_f32_does)
{
    static const size_t lengths[] = {21, 9, 14};
    tiny_model m = {0};
    pack_of p;
    bz_optimizer o[2];
    bezel_adapter *a[2], *start;
    bz_trainer *t[2];
    tiny_model_open(&m, _i == 0 ? BEZEL_ISA_SCALAR : BEZEL_ISA_AUTO, _i == 2 ? 1 : 2, NULL);
    fill_pack(&p, lengths, 3, m.model->config.V);
    start = random_pairs(m.model, ALL);
    for (int i = 0; i < 2; i++) {
        a[i] = random_pairs(m.model, ALL);
        t[i] = trainer_in(a[i], _i == 2, 0.0f, i);
        ck_assert_int_eq(bz_optimizer_init(&o[i], a[i], 0.01f, NULL), BEZEL_OK);
    }
    for (uint32_t step = 0; step < 10; step++)
        for (int i = 0; i < 2; i++) {
            bz_trainer_clear(t[i]);
            bz_trainer_begin(t[i], &p.pack, 1.0 / 22.0);
            while (bz_trainer_unit(t[i])) {}
            if (i == 1)
                ck_assert_double_eq_tol(t[1]->loss, t[0]->loss, 5e-3 * t[0]->loss);
            if (i == 1 && step == 0)
                ck_assert_double_lt(distance(t[0]->grad, t[1]->grad), 0.1 * bz_gradient_norm(t[0]->grad));
            bz_optimizer_step(&o[i], t[i]->grad, 1e-3, bz_gradient_clip(bz_gradient_norm(t[i]->grad), 1.0));
        }
    ck_assert_double_lt(distance(a[0], a[1]), 0.15 * distance(a[0], start));
    for (int i = 0; i < 2; i++) {
        bz_trainer_free(t[i]);
        bz_optimizer_free(&o[i]);
        bezel_adapter_free(a[i]);
    }
    bezel_adapter_free(start);
    tiny_model_close(&m);
}
END_TEST

START_TEST(the_rate_rises_then_falls)
{
    ck_assert_double_eq(bz_rate_course(BZ_RATE_LINEAR, 0, 4, 12), 0.25);
    ck_assert_double_eq(bz_rate_course(BZ_RATE_COSINE, 3, 4, 12), 1.0);
    ck_assert_double_eq(bz_rate_course(BZ_RATE_LINEAR, 4, 4, 12), 1.0);
    ck_assert_double_eq(bz_rate_course(BZ_RATE_LINEAR, 8, 4, 12), 0.5);
    ck_assert_double_eq_tol(bz_rate_course(BZ_RATE_COSINE, 8, 4, 12), 0.5, 1e-15);
    ck_assert_double_eq_tol(bz_rate_course(BZ_RATE_COSINE, 6, 4, 12), 0.5 + 0.25 * sqrt(2.0), 1e-15);
    ck_assert_double_eq(bz_rate_course(BZ_RATE_LINEAR, 12, 4, 12), 0.0);
    ck_assert_double_eq(bz_rate_course(BZ_RATE_CONSTANT, 99, 4, 12), 1.0);
    ck_assert_double_eq(bz_rate_course(BZ_RATE_LINEAR, 5, 9, 3), 6.0 / 9.0); /* shorter than its warm-up */
}
END_TEST

Suite *train_suite(void)
{
    Suite *s = suite_create("train");
    TCase *tc = tcase_create("train");
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, gradients_are_the_slopes_of_the_loss, 0, sizeof kinds / sizeof kinds[0]);
    tcase_add_test(tc, a_pack_teaches_what_its_examples_do);
    tcase_add_test(tc, threads_and_checkpointing_change_no_bit);
    tcase_add_test(tc, gradients_go_through_dropout);
    tcase_add_test(tc, matrices_without_a_pair_are_passed_through);
    tcase_add_test(tc, what_cannot_be_trained_is_refused);
    tcase_add_loop_test(tc, loss_gradients_and_ten_steps_are_those_of_pytorch, 0, 2);
    tcase_add_loop_test(tc, bf16_teaches_what_f32_does, 0, 3);
    tcase_add_test(tc, the_rate_rises_then_falls);
    suite_add_tcase(s, tc);
    return s;
}
