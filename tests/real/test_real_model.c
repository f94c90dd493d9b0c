/* SPDX-License-Identifier: MIT */
/* The demo model, Gemma 3 270M: what its file says about itself (gguf-py's reading of the same file), and that it opens at
 * once. */
#include <check.h>
#include <string.h>

#include "model/model_impl.h"
#include "support/real_model.h"

static real_model real;

static void setup(void)
{
    real_model_open(&real, NULL);
}

static void teardown(void)
{
    real_model_close(&real);
}

START_TEST(the_numbers_are_those_of_the_270m_model)
{
    const bz_config *c = &real.model->config;
    ck_assert_str_eq(c->arch, "gemma3");
    ck_assert_uint_eq(c->n_layers, 18);
    ck_assert_uint_eq(c->D, 640);
    ck_assert_uint_eq(c->F, 2048);
    ck_assert_uint_eq(c->H, 4);
    ck_assert_uint_eq(c->Hkv, 1);
    ck_assert_uint_eq(c->Dh, 256);
    ck_assert_uint_eq(c->V, 262144);
    ck_assert_uint_eq(c->n_ctx, 32768);
    ck_assert_uint_eq(c->window, 512);
    ck_assert_double_eq((double)c->eps, (double)1e-6f);
    ck_assert_double_eq((double)c->score_scale, 0.0625);
    ck_assert_double_eq((double)c->embed_scale, (double)25.298221f);
    ck_assert_double_eq((double)c->rope_base_global, 1e6);
    ck_assert_double_eq((double)c->rope_base_local, 1e4); /* the file has no key for it */
    ck_assert_double_eq((double)c->rope_factor_global, 1.0);
    ck_assert_double_eq((double)c->attn_softcap, 0.0);
    ck_assert_double_eq((double)c->final_softcap, 0.0);
    for (uint32_t l = 0; l < 18; l++)
        ck_assert_int_eq(c->is_global[l], l % 6 == 5);
}
END_TEST

START_TEST(the_file_has_236_tensors_of_five_types)
{
    static const struct {
        uint32_t dtype, count;
    } expected[] = {{BZ_DTYPE_F32, 109}, {BZ_DTYPE_Q5_0, 81}, {BZ_DTYPE_Q8_0, 10}, {BZ_DTYPE_Q4_K, 27}, {BZ_DTYPE_Q6_K, 9}};
    const bz_weight_source *s = real.model->source;
    const bz_gguf *g = bz_weight_source_metadata(s);
    uint64_t size = 0, elements = 0;
    ck_assert_uint_eq(g->version, 3);
    ck_assert_uint_eq(g->n_values, 33);
    ck_assert_uint_eq(g->header_size, 6525112);
    ck_assert_uint_eq(g->data_at, 6525120);
    ck_assert_uint_eq(g->file_size, 253113024);
    ck_assert_uint_eq(bz_weight_source_count(s), 236);
    for (size_t k = 0; k < sizeof expected / sizeof expected[0]; k++) {
        uint32_t n = 0;
        for (uint32_t i = 0; i < bz_weight_source_count(s); i++)
            n += bz_weight_source_at(s, i).tensor->dtype == expected[k].dtype;
        ck_assert_uint_eq(n, expected[k].count);
    }
    bz_weights_total(&size, &elements, &real.model->config, s);
    ck_assert_uint_eq(elements, 268098176);
    ck_assert_uint_eq(real.model->notes.count, 0);
}
END_TEST

START_TEST(it_is_a_pretrained_model_with_the_known_special_ids)
{
    const bezel_model *m = real.model;
    ck_assert_uint_eq(bezel_model_kind(m), BEZEL_KIND_PRETRAINED);
    ck_assert_ptr_null(m->chat_template);
    ck_assert_int_eq(m->special.bos, 2);
    ck_assert_int_eq(m->special.eos, 1);
    ck_assert_int_eq(m->special.unk, 3);
    ck_assert_int_eq(m->special.pad, 0);
    ck_assert_int_eq(m->special.eot, -1);
    ck_assert_int_eq(bz_vocab_is_end(m->vocab, 106), 1); /* <end_of_turn>, found by its text */
    ck_assert_ptr_eq(m->weights.output.data, m->weights.embedding.data);
}
END_TEST

START_TEST(every_scale_of_it_is_finite)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_model_options o;
    bezel_model *m = NULL;
    bezel_model_options_init(&o);
    o.check_weights = 1;
    ck_assert_msg(bezel_model_open(&m, real.engine, bezel_model_path(real.model), &o, &err) == BEZEL_OK, "%s", err.text);
    bezel_model_free(m);
}
END_TEST

Suite *real_model_suite(void)
{
    char path[1024];
    Suite *s = suite_create("real_model");
    TCase *t = tcase_create("270m");
    if (!real_model_path(path, sizeof path))
        return s; /* not downloaded: nothing to test */
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, the_numbers_are_those_of_the_270m_model);
    tcase_add_test(t, the_file_has_236_tensors_of_five_types);
    tcase_add_test(t, it_is_a_pretrained_model_with_the_known_special_ids);
    tcase_add_test(t, every_scale_of_it_is_finite);
    suite_add_tcase(s, t);
    return s;
}
