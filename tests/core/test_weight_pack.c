/* SPDX-License-Identifier: MIT */
/* Side file of the layers' weights: the same bits with it and without; made once, repaired, never half there. */
#include <bezel/model.h>

#include <check.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/decoder.h"
#include "model/weight_pack.h"
#include "support/model_maker.h"
#include "support/temp_folder.h"
#include "support/test_engine.h"

Suite *weight_pack_suite(void);

typedef struct table {
    test_world tw;
    temp_folder folder;
    char path[MODEL_MAKER_PATH]; /* of a model */
} table;

static table *t;

static void setup(void)
{
    model_maker k;
    t = calloc(1, sizeof *t);
    test_world_init(&t->tw);
    temp_folder_make(&t->folder);
    model_maker_init(&k, 5);
    k.D = 256;
    k.F = 512;
    k.matrix_dtype = BZ_DTYPE_Q4_K;
    k.down_dtype = BZ_DTYPE_Q6_K;
    k.Dh = 64;
    k.H = 4;
    model_maker_file(&k, t->path);
}

static void teardown(void)
{
    remove(t->path);
    temp_folder_remove(&t->folder);
    free(t);
}

/* 1 when the engine's level has no kernels for panels. */
static int has_none(const bezel_engine *e)
{
    return e->kernel->matmul_packed == NULL;
}

static bezel_status open_model(bezel_model **out, bezel_engine *e, const char *folder, bezel_error *err)
{
    bezel_model_options o;
    bezel_model_options_init(&o);
    o.cache_folder = folder;
    return bezel_model_open(out, e, t->path, &o, err);
}

/* Logits of the last of 12 positions in passes of `step`. */
static void run_model(float *logits, bezel_model *m, size_t step)
{
    const bezel_world *w = bezel_engine_world(bezel_model_engine(m));
    const int32_t ids[12] = {2, 40, 50, 60, 70, 80, 90, 100, 110, 120, 130, 140};
    bz_kv_cache *cache;
    bz_decoder *d;
    ck_assert_int_eq(bz_kv_cache_new(&cache, w, &m->config, 64, BZ_DTYPE_F16, NULL), BEZEL_OK);
    ck_assert_int_eq(bz_decoder_new(&d, m, 12, 1, NULL), BEZEL_OK);
    for (size_t i = 0; i < 12; i += step) {
        bz_decoder_begin(d, &(bz_segment){.cache = cache, .ids = ids + i, .T = 12 - i < step ? 12 - i : step}, 1);
        while (bz_decoder_layer(d)) {
        }
    }
    bz_decoder_head(d, d->T - 1, 1);
    while (bz_decoder_head_slice(d, logits, m->config.V)) {
    }
    bz_decoder_free(d);
    bz_kv_cache_free(cache);
}

START_TEST(logits_are_the_same_with_panels_and_without)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_model *m;
    for (uint32_t threads = 1; threads <= 3; threads++) {
        bezel_engine *e = test_engine_new(&t->tw, threads, BEZEL_ISA_AUTO);
        ck_assert_msg(open_model(&m, e, NULL, &err) == BEZEL_OK, "%s", err.text);
        float *want = malloc(m->config.V * sizeof *want), *got = malloc(m->config.V * sizeof *got);
        run_model(want, m, 12);
        bezel_model_free(m);
        ck_assert_msg(open_model(&m, e, t->folder.path, &err) == BEZEL_OK, "%s", err.text);
        ck_assert_msg(bezel_model_prepare(m, &err) == BEZEL_OK, "%s", err.text);
        ck_assert_int_eq(bz_weight_pack_get(m->weight_pack, 0) != NULL, !has_none(e));
        for (size_t step = 1; step <= 12; step++) {
            run_model(got, m, step);
            ck_assert_msg(memcmp(got, want, m->config.V * sizeof *want) == 0, "%u threads, passes of %zu", threads, step);
        }
        bezel_model_free(m);
        bezel_engine_free(e);
        free(want);
        free(got);
    }
    ck_assert(test_world_is_clean(&t->tw));
}
END_TEST

static void damage_only_file(size_t at)
{
    char pattern[512];
    glob_t found;
    size_t size;
    snprintf(pattern, sizeof pattern, "%s/*.packed", t->folder.path);
    ck_assert_int_eq(glob(pattern, 0, NULL, &found), 0);
    ck_assert_uint_eq(found.gl_pathc, 1);
    char *bytes = temp_folder_read(found.gl_pathv[0], &size);
    if (at < size)
        bytes[at] ^= 1;
    else
        size--;
    temp_folder_write(found.gl_pathv[0], bytes, size);
    free(bytes);
    globfree(&found);
}

START_TEST(a_damaged_file_is_made_again)
{
    static const size_t places[] = {0, 8, 30, 60, 4100, 100000, SIZE_MAX};
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_model *m;
    bezel_engine *e = test_engine_new(&t->tw, 1, BEZEL_ISA_AUTO);
    if (has_none(e)) {
        bezel_engine_free(e);
        return;
    }
    ck_assert_int_eq(open_model(&m, e, NULL, &err), BEZEL_OK);
    float *want = malloc(m->config.V * sizeof *want), *got = malloc(m->config.V * sizeof *got);
    run_model(want, m, 12);
    bezel_model_free(m);
    for (size_t i = 0; i <= sizeof places / sizeof *places; i++) {
        ck_assert_int_eq(open_model(&m, e, t->folder.path, &err), BEZEL_OK);
        ck_assert_msg(bezel_model_prepare(m, &err) == BEZEL_OK, "%s", err.text);
        run_model(got, m, 1);
        ck_assert_mem_eq(got, want, m->config.V * sizeof *want);
        bezel_model_free(m);
        ck_assert_int_eq(temp_folder_count(&t->folder, ".packed") - temp_folder_count(&t->folder, ".packed.used"), 1);
        if (i < sizeof places / sizeof *places)
            damage_only_file(places[i]);
    }
    bezel_engine_free(e);
    free(want);
    free(got);
    ck_assert(test_world_is_clean(&t->tw));
}
END_TEST

START_TEST(without_folder_disk_or_leave_the_model_file_is_read)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_model_options o;
    bezel_model *m;
    bezel_engine *e = test_engine_new(&t->tw, 1, BEZEL_ISA_AUTO);
    bezel_model_options_init(&o);
    o.cache_folder = t->folder.path;
    o.raw_weights = 1;
    ck_assert_int_eq(bezel_model_open(&m, e, t->path, &o, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_model_prepare(m, &err), BEZEL_OK);
    ck_assert_ptr_null(m->weight_pack);
    bezel_model_free(m);
    ck_assert_int_eq(temp_folder_count(&t->folder, ".packed"), 0);
    for (long n = 1; n < 40 && !has_none(e); n++) { /* each file call of the work fails once */
        ck_assert_int_eq(open_model(&m, e, t->folder.path, &err), BEZEL_OK);
        test_world_arm_file(&t->tw, n, BEZEL_ERR_FULL);
        const bezel_status status = bz_weight_pack_wait(m->weight_pack, &err);
        ck_assert_int_eq(bz_weight_pack_get(m->weight_pack, 1) != NULL, status == BEZEL_OK);
        bezel_model_free(m);
        test_world_arm_file(&t->tw, 0, BEZEL_OK);
        ck_assert_int_eq(temp_folder_count(&t->folder, ".new"), 0);
        temp_folder_remove(&t->folder);
        temp_folder_make(&t->folder);
    }
    bezel_engine_free(e);
    ck_assert(test_world_is_clean(&t->tw));
}
END_TEST

START_TEST(two_models_may_make_it_at_once_and_be_freed_meanwhile)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_engine *e = test_engine_new(&t->tw, 1, BEZEL_ISA_AUTO);
    for (int i = 0; i < 10 && !has_none(e); i++) {
        bezel_model *m[3];
        for (int j = 0; j < 3; j++) {
            ck_assert_int_eq(open_model(&m[j], e, t->folder.path, &err), BEZEL_OK);
            (void)bz_weight_pack_get(m[j]->weight_pack, 1);
        }
        bezel_model_free(m[2]);
        for (int j = 0; j < 2; j++)
            ck_assert_msg(bz_weight_pack_wait(m[j]->weight_pack, &err) == BEZEL_OK, "%s", err.text);
        for (int j = 0; j < 2; j++)
            bezel_model_free(m[j]);
        ck_assert_int_eq(temp_folder_count(&t->folder, ".new"), 0);
        temp_folder_remove(&t->folder);
        temp_folder_make(&t->folder);
    }
    bezel_engine_free(e);
    ck_assert(test_world_is_clean(&t->tw));
}
END_TEST

Suite *weight_pack_suite(void)
{
    Suite *s = suite_create("weight_pack");
    TCase *c = tcase_create("file");
    tcase_set_timeout(c, 120);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, logits_are_the_same_with_panels_and_without);
    tcase_add_test(c, a_damaged_file_is_made_again);
    tcase_add_test(c, without_folder_disk_or_leave_the_model_file_is_read);
    tcase_add_test(c, two_models_may_make_it_at_once_and_be_freed_meanwhile);
    suite_add_tcase(s, c);
    return s;
}
