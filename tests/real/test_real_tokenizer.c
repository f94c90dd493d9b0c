/* SPDX-License-Identifier: MIT */
/* Ids of the real vocabulary against Hugging Face tokenizers: tests/golden/tokenizer_cases.json names source and rule. */
#include "support/real_model.h"

#include <bezel/chat.h>
#include <bezel/tokenizer.h>
#include <bezel/value.h>

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define GOLDEN "tests/golden/tokenizer_cases.json"
#define MAX_IDS 4096

static real_model real;
static bezel_tree *tree;
static bezel_value *golden;
static bezel_error err;

static void open_all(void)
{
    size_t size;
    char *text = real_model_file(GOLDEN, &size);
    err = (bezel_error)BEZEL_ERROR_INIT;
    real_model_open(&real, NULL);
    ck_assert_int_eq(bezel_tree_new(&tree, real.engine, &err), BEZEL_OK);
    ck_assert_msg(bezel_json_read(&golden, tree, text, size, &err) == BEZEL_OK, "%s: %s", GOLDEN, err.text);
    free(text);
}

static void close_all(void)
{
    bezel_tree_free(tree);
    real_model_close(&real);
}

static void compare(const char *text, const int32_t *ids, size_t count, const bezel_value *want)
{
    ck_assert_msg(count == bezel_value_count(want), "%zu ids for %zu in \"%s\"", count, bezel_value_count(want), text);
    for (size_t i = 0; i < count; i++)
        ck_assert_msg(ids[i] == bezel_value_integer(bezel_value_at(want, i)), "id %zu is %d in \"%s\"", i, (int)ids[i], text);
}

START_TEST(every_golden_text_has_the_ids_of_the_reference)
{
    const bezel_value *cases = bezel_value_get(golden, "cases");
    ck_assert_uint_gt(bezel_value_count(cases), 500);
    for (size_t i = 0; i < bezel_value_count(cases); i++) {
        const bezel_value *c = bezel_value_at(cases, i), *special = bezel_value_get(c, "special_ids");
        int32_t ids[MAX_IDS];
        size_t size, count, back_size;
        char *back;
        const char *text = bezel_value_text(bezel_value_get(c, "text"), &size);
        ck_assert_int_eq(bezel_tokenize(ids, MAX_IDS, &count, real.model, text, size, 0, &err), BEZEL_OK);
        compare(text, ids, count, bezel_value_get(c, "ids"));
        ck_assert_int_eq(bezel_detokenize(&back, &back_size, real.model, ids, count, 0, &err), BEZEL_OK);
        ck_assert_uint_eq(back_size, size);
        ck_assert_mem_eq(back, text, size);
        bezel_text_free(real.engine, back);
        ck_assert_int_eq(bezel_tokenize(ids, MAX_IDS, &count, real.model, text, size, BEZEL_TOKENIZE_SPECIAL, &err), BEZEL_OK);
        compare(text, ids, count, special ? special : bezel_value_get(c, "ids"));
    }
}
END_TEST

START_TEST(every_golden_conversation_has_the_ids_of_the_template)
{
    const bezel_value *prompts = bezel_value_get(golden, "prompts");
    ck_assert_uint_gt(bezel_value_count(prompts), 20);
    for (size_t i = 0; i < bezel_value_count(prompts); i++) {
        const bezel_value *p = bezel_value_at(prompts, i), *list = bezel_value_get(p, "messages");
        bezel_message m[8];
        size_t n = bezel_value_count(list), count;
        ck_assert_uint_le(n, 8);
        for (size_t k = 0; k < n; k++) {
            const bezel_value *item = bezel_value_at(list, k);
            size_t size;
            const char *text = bezel_value_text(bezel_value_get(item, "text"), &size);
            m[k] = (bezel_message){sizeof *m, bezel_role_from_name(bezel_value_text(bezel_value_get(item, "role"), NULL)), text,
                                   size};
        }
        bezel_prompt *prompt;
        bezel_status st = bezel_prompt_render(&prompt, real.model, bezel_profile_find("gemma3"), m, n, 1, &err);
        ck_assert_msg(st == BEZEL_OK, "%s", err.text);
        const int32_t *ids = bezel_prompt_ids(prompt, &count);
        compare(bezel_prompt_text(prompt, NULL), ids, count, bezel_value_get(p, "ids"));
        bezel_prompt_free(prompt);
    }
}
END_TEST

START_TEST(all_bytes_and_broken_utf8_come_back)
{
    char text[512], *back;
    int32_t ids[1024];
    size_t count, size;
    for (size_t i = 0; i < 256; i++) {
        text[2 * i] = (char)(255 - i);
        text[2 * i + 1] = i % 2 ? 'a' : ' ';
    }
    ck_assert_int_eq(bezel_tokenize(ids, 1024, &count, real.model, text, sizeof text, 0, &err), BEZEL_OK);
    ck_assert_int_eq(ids[0], 238 + 255); /* <0x00> is 238 */
    ck_assert_int_eq(bezel_detokenize(&back, &size, real.model, ids, count, 0, &err), BEZEL_OK);
    ck_assert_uint_eq(size, sizeof text);
    ck_assert_mem_eq(back, text, size);
    bezel_text_free(real.engine, back);
    ck_assert_int_eq(bezel_tokenize(ids, 1024, &count, real.model, "a\0b", 3, 0, &err), BEZEL_OK);
    ck_assert_uint_eq(count, 3);
    ck_assert_int_eq(ids[1], 238);
}
END_TEST

START_TEST(a_literal_mark_of_space_joins_the_run)
{
    int32_t ids[8];
    size_t count;
    ck_assert_int_eq(bezel_tokenize(ids, 8, &count, real.model, "\342\226\201\342\226\201", 6, 0, &err), BEZEL_OK);
    ck_assert_uint_eq(count, 1);
    ck_assert_int_eq(ids[0], 138);
    ck_assert_int_eq(bezel_tokenize(ids, 8, &count, real.model, "> </", 4, 0, &err), BEZEL_OK);
    ck_assert_uint_eq(count, 1);
    ck_assert_int_eq(ids[0], 107068); /* the one piece that reaches across a space */
}
END_TEST

START_TEST(ends_are_eos_and_end_of_turn)
{
    for (int32_t id = 0; id < 262144; id++)
        ck_assert_int_eq(bezel_token_is_end(real.model, id), id == 1 || id == 106);
    ck_assert_int_eq(bezel_token_bos(real.model), 2);
}
END_TEST

/* What a model writes after "Assistant:" and what the next prompt makes of it must be the same ids, or nothing of the
 * cache could be used again. */
START_TEST(a_transcript_grows_without_changing_its_beginning)
{
    static const char *const turns[] = {"What is the capital of France?",     "Paris.", "And of Japan?",
                                        "FUNCTION_CALL: f(x=\"Tokyo\", n=5)", "Result: f = 21\nResult: g = \"wet\"",
                                        "It is 21 degrees.\n\nBring a coat!", "\n Thanks! \n", "You are welcome \360\237\230\200"};
    static const uint32_t roles[] = {2, 3, 2, 3, 4, 3, 2, 3};
    bezel_message m[8];
    for (size_t i = 0; i < 8; i++)
        m[i] = (bezel_message){sizeof *m, roles[i], turns[i], strlen(turns[i])};
    for (size_t n = 1; n < 8; n++) {
        if (roles[n] != BEZEL_ROLE_ASSISTANT)
            continue;
        bezel_prompt *before, *after;
        size_t count, later, answer;
        int32_t ids[64];
        char text[64] = " ";
        ck_assert_int_eq(bezel_prompt_render(&before, real.model, bezel_profile_find("transcript"), m, n, 1, &err), BEZEL_OK);
        ck_assert_int_eq(bezel_prompt_render(&after, real.model, bezel_profile_find("transcript"), m, n + 1, 0, &err), BEZEL_OK);
        const int32_t *a = bezel_prompt_ids(before, &count), *b = bezel_prompt_ids(after, &later);
        strcat(strcat(text, turns[n]), "\n");
        ck_assert_int_eq(bezel_tokenize(ids, 64, &answer, real.model, text, strlen(text), 0, &err), BEZEL_OK);
        ck_assert_uint_eq(later, count + answer);
        ck_assert_mem_eq(a, b, count * sizeof *a);
        ck_assert_mem_eq(ids, b + count, answer * sizeof *ids);
        bezel_prompt_free(before);
        bezel_prompt_free(after);
    }
}
END_TEST

Suite *real_tokenizer_suite(void);
Suite *real_tokenizer_suite(void)
{
    char path[4096];
    Suite *s = suite_create("real_tokenizer");
    if (!real_model_path(path, sizeof path))
        return s;
    TCase *t = tcase_create("real_tokenizer");
    tcase_set_timeout(t, 120);
    tcase_add_unchecked_fixture(t, open_all, close_all);
    tcase_add_test(t, every_golden_text_has_the_ids_of_the_reference);
    tcase_add_test(t, every_golden_conversation_has_the_ids_of_the_template);
    tcase_add_test(t, all_bytes_and_broken_utf8_come_back);
    tcase_add_test(t, a_literal_mark_of_space_joins_the_run);
    tcase_add_test(t, ends_are_eos_and_end_of_turn);
    tcase_add_test(t, a_transcript_grows_without_changing_its_beginning);
    suite_add_tcase(s, t);
    return s;
}
