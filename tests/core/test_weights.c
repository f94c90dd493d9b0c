/* SPDX-License-Identifier: MIT */
/* The tensor table and what is bound from it: shapes, ties, converted norms, layer numbers in names, bad values. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/dtype.h"
#include "compute/quant.h"
#include "model/model_impl.h"
#include "model/weight_map.h"
#include "support/model_maker.h"
#include "support/test_engine.h"

static bezel_engine *engine;
static model_maker maker;
static bezel_error err;

static void setup(void)
{
    engine = test_engine_new(NULL, 1, BEZEL_ISA_SCALAR);
    model_maker_init(&maker, 21);
    maker.layers = 2;
    err = (bezel_error)BEZEL_ERROR_INIT;
}

static void teardown(void)
{
    bezel_engine_free(engine);
}

static bezel_status read_bytes(void *ud, uint64_t offset, void *buffer, size_t size)
{
    memcpy(buffer, (const uint8_t *)ud + offset, size);
    return BEZEL_OK;
}

static bezel_status open_made(bezel_model **out)
{
    bezel_model_options o;
    bezel_status status;
    size_t size = 0;
    void *bytes = model_maker_bytes(&maker, &size);
    bezel_model_options_init(&o);
    o.read = read_bytes;
    o.read_ud = bytes;
    o.read_size = size;
    status = bezel_model_open(out, engine, "made.gguf", &o, &err);
    free(bytes);
    return status;
}

static void check_tensor(const bz_tensor *t, size_t N, size_t K, const char *what)
{
    ck_assert_msg(t->data != NULL, "%s is not bound", what);
    ck_assert_msg(t->N == N && t->K == K, "%s is [%zu, %zu], expected [%zu, %zu]", what, t->N, t->K, N, K);
    ck_assert_uint_eq(t->n_dims, 2);
    ck_assert_msg((uintptr_t)t->data % 32 == 0, "%s is not aligned", what);
}

START_TEST(every_matrix_is_bound_with_rows_as_in_the_file)
{
    bezel_model *m = NULL;
    maker.H = 4;
    maker.Hkv = 2;
    ck_assert_msg(open_made(&m) == BEZEL_OK, "%s", err.text);
    check_tensor(&m->weights.embedding, m->config.V, 64, "embedding");
    for (uint32_t l = 0; l < 2; l++) {
        const bz_layer_weights *w = &m->weights.layers[l];
        check_tensor(&w->q, 128, 64, "q");
        check_tensor(&w->k, 64, 64, "k");
        check_tensor(&w->v, 64, 64, "v");
        check_tensor(&w->attn_output, 64, 128, "attn_output");
        check_tensor(&w->gate, 128, 64, "gate");
        check_tensor(&w->up, 128, 64, "up");
        check_tensor(&w->down, 64, 128, "down");
        ck_assert(w->attn_norm && w->q_norm && w->k_norm && w->post_attn_norm && w->ffn_norm && w->post_ffn_norm);
    }
    ck_assert_ptr_ne(m->weights.layers[0].q.data, m->weights.layers[1].q.data);
    ck_assert_ptr_nonnull(m->weights.output_norm);
    bezel_model_free(m);
}
END_TEST

START_TEST(the_output_is_the_embedding_unless_the_file_has_its_own)
{
    bezel_model *m = NULL;
    ck_assert_int_eq(open_made(&m), BEZEL_OK);
    ck_assert_ptr_eq(m->weights.output.data, m->weights.embedding.data);
    bezel_model_free(m);
    maker.untied = 1;
    ck_assert_int_eq(open_made(&m), BEZEL_OK);
    ck_assert_ptr_ne(m->weights.output.data, m->weights.embedding.data);
    check_tensor(&m->weights.output, m->config.V, 64, "output");
    bezel_model_free(m);
}
END_TEST

START_TEST(norms_in_half_precision_become_float)
{
    static const uint32_t dtypes[] = {BZ_DTYPE_F16, BZ_DTYPE_BF16};
    bezel_model *exact = NULL, *half = NULL;
    ck_assert_int_eq(open_made(&exact), BEZEL_OK);
    ck_assert_ptr_null(exact->weights.norms);
    maker.norm_dtype = dtypes[_i];
    ck_assert_msg(open_made(&half) == BEZEL_OK, "%s", err.text);
    ck_assert_ptr_nonnull(half->weights.norms);
    for (uint32_t i = 0; i < half->config.D; i++) {
        float x = exact->weights.layers[1].ffn_norm[i];
        float rounded = _i == 0 ? bz_f16_to_f32(bz_f32_to_f16(x)) : bz_bf16_to_f32(bz_f32_to_bf16(x));
        ck_assert_double_eq((double)half->weights.layers[1].ffn_norm[i], (double)rounded);
    }
    bezel_model_free(exact);
    bezel_model_free(half);
}
END_TEST

/* --- Names -------------------------------------------------------------------------------- */

static void add_tensor(bz_gguf_writer *g, void *ud)
{
    static const float data[8];
    static const uint64_t dims[] = {8};
    bz_gguf_writer_tensor(g, ud, BZ_DTYPE_F32, 1, dims, data, sizeof data);
}

START_TEST(layer_numbers_that_are_none_are_refused)
{
    static const char *const names[] = {"blk.-1.attn_q.weight", "blk.2147483648.attn_q.weight", "blk.01.attn_q.weight",
                                        "blk.3x.attn_q.weight", "blk..attn_q.weight", "blk.", "blk.1", "blk.+1.a",
                                        "blk.512.attn_q.weight", "blk.4294967296.attn_q.weight", "blk. 1.a"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        bezel_model *m = NULL;
        char name[64];
        snprintf(name, sizeof name, "%s", names[i]);
        maker.extra = add_tensor;
        maker.extra_ud = name;
        ck_assert_msg(open_made(&m) == BEZEL_ERR_FORMAT, "%s: %s", names[i], err.text);
        ck_assert_ptr_nonnull(strstr(err.text, names[i]));
    }
}
END_TEST

START_TEST(tensors_that_are_not_used_are_remarked)
{
    static const char *const names[] = {"blk.2.attn_q.weight", "blk.0.attn_q.bias", "v.patch_embd.weight", "output.weights"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        bezel_model *m = NULL;
        char name[64];
        snprintf(name, sizeof name, "%s", names[i]);
        maker.extra = add_tensor;
        maker.extra_ud = name;
        ck_assert_msg(open_made(&m) == BEZEL_OK, "%s: %s", names[i], err.text);
        ck_assert_uint_eq(m->notes.count, 1);
        ck_assert_ptr_nonnull(strstr(m->notes.texts[0], names[i]));
        bezel_model_free(m);
    }
}
END_TEST

START_TEST(the_table_names_each_tensor_once)
{
    char a[64], b[64];
    for (uint32_t i = 0; i < bz_n_weight_rows; i++) {
        for (uint32_t k = 0; k < i; k++) {
            ck_assert_str_ne(bz_weight_name(a, &bz_weight_rows[i], 3), bz_weight_name(b, &bz_weight_rows[k], 3));
            ck_assert(bz_weight_rows[i].is_layer != bz_weight_rows[k].is_layer ||
                      bz_weight_rows[i].member != bz_weight_rows[k].member);
        }
    }
    ck_assert_str_eq(bz_weight_name(a, &bz_weight_rows[4], 511), "blk.511.attn_q.weight");
}
END_TEST

/* --- Values ------------------------------------------------------------------------------- */

/* Sets the 16-bit number at `at` of block `block` in row `row`. */
static void put_u16(uint8_t *data, const bz_dtype *d, size_t blocks, size_t row, size_t block, size_t at, uint16_t bits)
{
    uint8_t *p = data + (row * blocks + block) * d->block_size + at;
    p[0] = (uint8_t)bits;
    p[1] = (uint8_t)(bits >> 8);
}

START_TEST(a_bad_scale_is_found_in_every_place_and_subnormal_ones_are_good)
{
    static const struct {
        uint32_t dtype;
        uint16_t places[2];
        uint32_t n;
    } rows[] = {{BZ_DTYPE_F16, {0, 0}, 1},    {BZ_DTYPE_Q4_0, {0, 0}, 1},   {BZ_DTYPE_Q4_1, {0, 2}, 2}, {BZ_DTYPE_Q5_0, {0, 0}, 1},
                {BZ_DTYPE_Q5_1, {0, 2}, 2},   {BZ_DTYPE_Q8_0, {0, 0}, 1},   {BZ_DTYPE_Q2_K, {80, 82}, 2}, {BZ_DTYPE_Q3_K, {108, 0}, 1},
                {BZ_DTYPE_Q4_K, {0, 2}, 2},   {BZ_DTYPE_Q5_K, {0, 2}, 2},   {BZ_DTYPE_Q6_K, {208, 0}, 1}, {BZ_DTYPE_IQ4_NL, {0, 0}, 1},
                {BZ_DTYPE_IQ4_XS, {0, 0}, 1}};
    static const uint16_t bad[] = {0x7C00, 0xFC00, 0x7E00, 0x7C01, 0xFFFF}, good[] = {0x0001, 0x83FF, 0x7BFF, 0x0000};
    const size_t N = 5, blocks = 3;
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        const bz_dtype *d = bz_dtype_find(rows[r].dtype);
        bz_gguf_tensor t = {0};
        uint8_t *data = calloc(N * blocks, d->block_size);
        t.dtype = rows[r].dtype;
        t.dims[0] = blocks * d->block;
        t.dims[1] = N;
        for (uint32_t p = 0; p < rows[r].n; p++) {
            for (size_t i = 0; i < 5; i++) {
                put_u16(data, d, blocks, 3, 2, rows[r].places[p], bad[i]);
                ck_assert_uint_eq(bz_weights_bad_row(&t, data, 0, N), 3);
                ck_assert_uint_eq(bz_weights_bad_row(&t, data, 4, N), N);
                ck_assert_uint_eq(bz_weights_bad_row(&t, data, 0, 3), 3);
            }
            for (size_t i = 0; i < 4; i++) {
                put_u16(data, d, blocks, 3, 2, rows[r].places[p], good[i]);
                ck_assert_uint_eq(bz_weights_bad_row(&t, data, 0, N), N);
            }
        }
        free(data);
    }
}
END_TEST

START_TEST(values_that_are_no_scale_may_have_any_bits)
{
    static const uint32_t dtypes[] = {BZ_DTYPE_Q4_0, BZ_DTYPE_Q8_0, BZ_DTYPE_Q6_K, BZ_DTYPE_Q4_K, BZ_DTYPE_Q2_K, BZ_DTYPE_Q3_K};
    static const uint16_t ends[][2] = {{0, 2}, {0, 2}, {208, 210}, {0, 4}, {80, 84}, {108, 110}};
    for (size_t r = 0; r < sizeof dtypes / sizeof dtypes[0]; r++) {
        const bz_dtype *d = bz_dtype_find(dtypes[r]);
        bz_gguf_tensor t = {0};
        uint8_t *data = malloc(d->block_size);
        ck_assert_ptr_nonnull(data);
        memset(data, 0xFF, d->block_size);
        memset(data + ends[r][0], 0, (size_t)(ends[r][1] - ends[r][0]));
        t.dtype = dtypes[r];
        t.dims[0] = d->block;
        ck_assert_uint_eq(bz_weights_bad_row(&t, data, 0, 1), 1);
        free(data);
    }
}
END_TEST

Suite *weights_suite(void)
{
    Suite *s = suite_create("weights");
    TCase *t = tcase_create("bind");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, every_matrix_is_bound_with_rows_as_in_the_file);
    tcase_add_test(t, the_output_is_the_embedding_unless_the_file_has_its_own);
    tcase_add_loop_test(t, norms_in_half_precision_become_float, 0, 2);
    tcase_add_test(t, layer_numbers_that_are_none_are_refused);
    tcase_add_test(t, tensors_that_are_not_used_are_remarked);
    tcase_add_test(t, the_table_names_each_tensor_once);
    tcase_add_test(t, a_bad_scale_is_found_in_every_place_and_subnormal_ones_are_good);
    tcase_add_test(t, values_that_are_no_scale_may_have_any_bits);
    suite_add_tcase(s, t);
    return s;
}
