/* SPDX-License-Identifier: MIT */
/* The public tokenizer functions on a made model: sizes asked and given, flags, bytes back exactly, wrong ids. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bezel/tokenizer.h>

#include "support/model_maker.h"
#include "support/test_engine.h"

static test_world tw;
static bezel_engine *engine;
static bezel_model *model;
static bezel_error err;

static void setup(void)
{
    char path[MODEL_MAKER_PATH];
    model_maker k;
    test_world_init(&tw);
    engine = test_engine_new(&tw, 1, BEZEL_ISA_SCALAR);
    model_maker_init(&k, 2);
    k.layers = 1;
    model_maker_file(&k, path);
    err = (bezel_error)BEZEL_ERROR_INIT;
    ck_assert_msg(bezel_model_open(&model, engine, path, NULL, &err) == BEZEL_OK, "%s", err.text);
    unlink(path); /* a mapping needs no name */
}

static void teardown(void)
{
    bezel_model_free(model);
    bezel_engine_free(engine);
    ck_assert(test_world_is_clean(&tw));
}

static void expect_round_trip(const char *text, size_t size, uint32_t flags)
{
    int32_t ids[2048];
    size_t n = 0, back_size = 0;
    char *back = NULL;
    ck_assert_msg(bezel_tokenize(ids, 2048, &n, model, text, size, flags, &err) == BEZEL_OK, "%s", err.text);
    ck_assert_msg(bezel_detokenize(&back, &back_size, model, ids, n, 0, &err) == BEZEL_OK, "%s", err.text);
    ck_assert_uint_eq(back_size, size);
    ck_assert_int_eq(memcmp(back, text, size), 0);
    ck_assert_int_eq(back[back_size], 0);
    bezel_text_free(engine, back);
}

START_TEST(every_byte_and_every_pair_of_odd_ones_comes_back)
{
    static const uint8_t odd[] = {0, '\n', ' ', 'a', 0x7F, 0x80, 0xBF, 0xC3, 0xE2, 0x96, 0xF0, 0xFF};
    char text[3];
    for (unsigned b = 0; b < 256; b++) {
        text[0] = (char)b;
        expect_round_trip(text, 1, 0);
    }
    for (size_t a = 0; a < sizeof odd; a++) {
        for (size_t b = 0; b < sizeof odd; b++) {
            for (size_t c = 0; c < sizeof odd; c++) {
                text[0] = (char)odd[a];
                text[1] = (char)odd[b];
                text[2] = (char)odd[c];
                if (memcmp(text, "\xe2\x96\x81", 3) != 0) /* the mark itself reads back as a space */
                    expect_round_trip(text, 3, 0);
            }
        }
    }
    expect_round_trip("", 0, 0);
    expect_round_trip("What is the weather in Paris today?\n\n    <b>\xf0\x9f\x99\x82</b>", 51, 0);
}
END_TEST

START_TEST(the_needed_size_can_be_asked_for)
{
    int32_t ids[64];
    size_t asked = 0, n = 0;
    const char *text = "hello world";
    ck_assert_int_eq(bezel_tokenize(NULL, 0, &asked, model, text, SIZE_MAX, 0, &err), BEZEL_OK);
    ck_assert_uint_gt(asked, 0);
    ck_assert_int_eq(bezel_tokenize(ids, asked - 1, &n, model, text, SIZE_MAX, 0, &err), BEZEL_ERR_LIMIT);
    ck_assert_uint_eq(n, asked);
    ck_assert_int_eq(bezel_tokenize(ids, asked, &n, model, text, SIZE_MAX, 0, &err), BEZEL_OK);
    ck_assert_uint_eq(n, asked);
}
END_TEST

START_TEST(bos_comes_first_when_asked_for)
{
    int32_t ids[8];
    size_t n = 0;
    ck_assert_int_eq(bezel_tokenize(ids, 8, &n, model, "", 0, BEZEL_TOKENIZE_BOS, &err), BEZEL_OK);
    ck_assert_uint_eq(n, 1);
    ck_assert_int_eq(ids[0], bezel_token_bos(model));
}
END_TEST

START_TEST(control_texts_are_ids_only_with_the_special_flag)
{
    int32_t ids[64];
    size_t n = 0, size = 0;
    char *text = NULL;
    int32_t turn = bezel_token_id(model, "<start_of_turn>", SIZE_MAX);
    ck_assert_int_ge(turn, 0);
    ck_assert_int_eq(bezel_tokenize(ids, 64, &n, model, "<start_of_turn>user", SIZE_MAX, 0, &err), BEZEL_OK);
    for (size_t i = 0; i < n; i++)
        ck_assert_int_ne(ids[i], turn);
    ck_assert_int_eq(bezel_tokenize(ids, 64, &n, model, "<start_of_turn>user", SIZE_MAX, BEZEL_TOKENIZE_SPECIAL, &err), BEZEL_OK);
    ck_assert_int_eq(ids[0], turn);
    ck_assert_int_eq(bezel_detokenize(&text, &size, model, ids, n, 0, &err), BEZEL_OK);
    ck_assert_str_eq(text, "user");
    bezel_text_free(engine, text);
    ck_assert_int_eq(bezel_detokenize(&text, &size, model, ids, n, 1, &err), BEZEL_OK);
    ck_assert_str_eq(text, "<start_of_turn>user");
    bezel_text_free(engine, text);
}
END_TEST

START_TEST(wrong_arguments_and_ids_are_refused)
{
    int32_t ids[4] = {0, -1, INT32_MAX, (int32_t)bezel_model_vocab_size(model)};
    size_t n = 0;
    char *text = NULL;
    ck_assert_int_eq(bezel_tokenize(ids, 4, NULL, model, "a", 1, 0, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_int_eq(bezel_tokenize(ids, 4, &n, NULL, "a", 1, 0, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_int_eq(bezel_tokenize(ids, 4, &n, model, NULL, 1, 0, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_int_eq(bezel_tokenize(NULL, 4, &n, model, "a", 1, 0, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_int_eq(bezel_tokenize(ids, 4, &n, model, "a", 1, 4, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_int_eq(bezel_tokenize(ids, 4, &n, model, "a", ((size_t)1 << 30) + 1, 0, &err), BEZEL_ERR_LIMIT);
    for (size_t i = 1; i < 4; i++) {
        ck_assert_int_eq(bezel_detokenize(&text, &n, model, ids + i, 1, 0, &err), BEZEL_ERR_RANGE);
        ck_assert_ptr_null(text);
        ck_assert_ptr_null(bezel_token_text(model, ids[i], &n));
        ck_assert_uint_eq(n, 0);
        ck_assert_int_eq(bezel_token_is_end(model, ids[i]), 0);
    }
    ck_assert_int_eq(bezel_detokenize(NULL, &n, model, ids, 1, 0, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_int_eq(bezel_detokenize(&text, NULL, model, NULL, 0, 0, &err), BEZEL_OK);
    ck_assert_str_eq(text, "");
    bezel_text_free(engine, text);
}
END_TEST

static bezel_status try_text(test_world *world, void *ctx)
{
    int32_t ids[256];
    size_t n = 0;
    char *text = NULL;
    bezel_status status = bezel_tokenize(ids, 256, &n, model, ctx, SIZE_MAX, BEZEL_TOKENIZE_BOS, &err);
    (void)world;
    if (status == BEZEL_OK)
        status = bezel_detokenize(&text, NULL, model, ids, n, 1, &err);
    bezel_text_free(engine, text);
    return status;
}

START_TEST(every_failing_allocation_is_an_error_without_leak)
{
    char text[] = "hello world, what is the weather in Paris today? \xff\xfe the answer is 42, the tool is called get_weather";
    ck_assert_int_ge(test_world_sweep(&tw, try_text, text, BEZEL_OK), 2);
}
END_TEST

Suite *model_text_suite(void)
{
    Suite *s = suite_create("model_text");
    TCase *t = tcase_create("tokenizer");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, every_byte_and_every_pair_of_odd_ones_comes_back);
    tcase_add_test(t, the_needed_size_can_be_asked_for);
    tcase_add_test(t, bos_comes_first_when_asked_for);
    tcase_add_test(t, control_texts_are_ids_only_with_the_special_flag);
    tcase_add_test(t, wrong_arguments_and_ids_are_refused);
    tcase_add_test(t, every_failing_allocation_is_an_error_without_leak);
    suite_add_tcase(s, t);
    return s;
}
