/* SPDX-License-Identifier: MIT */
/* Growing text. */
#include "base/strbuf.h"
#include "base/alloc.h"
#include "support/test_world.h"

#include <check.h>
#include <string.h>

START_TEST(pieces_of_all_kinds_join_to_one_text)
{
    test_world tw;
    bz_strbuf b;
    size_t size = 0;
    test_world_init(&tw);
    bz_strbuf_init(&b, &tw.world, 0);
    ck_assert_str_eq(bz_strbuf_cstr(&b), "");
    bz_strbuf_text(&b, "one ");
    bz_strbuf_char(&b, '2');
    bz_strbuf_add(&b, " three\0!", 8);
    bz_strbuf_format(&b, " %d %s", 4, "five");
    ck_assert_uint_eq(b.size, 20);
    ck_assert_mem_eq(b.data, "one 2 three\0! 4 five", 21);
    char *text = bz_strbuf_take(&b, &size);
    ck_assert_uint_eq(size, 20);
    ck_assert_str_eq(bz_strbuf_cstr(&b), "");
    bz_strbuf_text(&b, "again");
    ck_assert_str_eq(bz_strbuf_cstr(&b), "again");
    bz_free(&tw.world, text);
    bz_strbuf_free(&b);
    bz_strbuf_free(&b);
    ck_assert(test_world_is_clean(&tw));
}
END_TEST

START_TEST(an_empty_buffer_can_be_taken)
{
    test_world tw;
    bz_strbuf b;
    size_t size = 9;
    test_world_init(&tw);
    bz_strbuf_init(&b, &tw.world, 0);
    bz_strbuf_cut(&b, 0);
    bz_strbuf_erase_front(&b, 3);
    char *text = bz_strbuf_take(&b, &size);
    ck_assert_str_eq(text, "");
    ck_assert_uint_eq(size, 0);
    bz_free(&tw.world, text);
    ck_assert(test_world_is_clean(&tw));
}
END_TEST

START_TEST(the_limit_is_exact_and_the_failure_sticks)
{
    test_world tw;
    bz_strbuf b;
    test_world_init(&tw);
    bz_strbuf_init(&b, &tw.world, 5);
    bz_strbuf_text(&b, "12345");
    ck_assert_int_eq(b.status, BEZEL_OK);
    bz_strbuf_char(&b, '6');
    ck_assert_int_eq(b.status, BEZEL_ERR_LIMIT);
    bz_strbuf_cut(&b, 1);
    bz_strbuf_char(&b, '2');
    bz_strbuf_format(&b, "%d", 3);
    ck_assert_str_eq(bz_strbuf_cstr(&b), "1");
    ck_assert_ptr_null(bz_strbuf_take(&b, NULL));
    bz_strbuf_reset(&b);
    bz_strbuf_format(&b, "%s", "123456");
    ck_assert_int_eq(b.status, BEZEL_ERR_LIMIT);
    bz_strbuf_reset(&b);
    bz_strbuf_format(&b, "%s", "12345");
    ck_assert_int_eq(b.status, BEZEL_OK);
    ck_assert_str_eq(bz_strbuf_cstr(&b), "12345");
    bz_strbuf_add(&b, "", SIZE_MAX);
    ck_assert_int_eq(b.status, BEZEL_ERR_LIMIT);
    bz_strbuf_free(&b);
    ck_assert(test_world_is_clean(&tw));
}
END_TEST

START_TEST(cutting_and_erasing_keep_the_rest)
{
    test_world tw;
    bz_strbuf b;
    test_world_init(&tw);
    bz_strbuf_init(&b, &tw.world, 0);
    bz_strbuf_text(&b, "abcdef");
    bz_strbuf_cut(&b, 99);
    bz_strbuf_erase_front(&b, 2);
    ck_assert_str_eq(bz_strbuf_cstr(&b), "cdef");
    bz_strbuf_cut(&b, 3);
    ck_assert_str_eq(bz_strbuf_cstr(&b), "cde");
    bz_strbuf_erase_front(&b, 99);
    ck_assert_uint_eq(b.size, 0);
    ck_assert_str_eq(bz_strbuf_cstr(&b), "");
    bz_strbuf_free(&b);
}
END_TEST

static bezel_status strbuf_try(test_world *tw, void *ctx)
{
    bz_strbuf b;
    bezel_status status;
    char *text;
    (void)ctx;
    bz_strbuf_init(&b, &tw->world, 0);
    for (int i = 0; i < 1000; i++)
        bz_strbuf_format(&b, "line %d\n", i);
    status = b.status;
    ck_assert(b.data == NULL || strlen(b.data) == b.size);
    text = bz_strbuf_take(&b, NULL);
    ck_assert_int_eq(text == NULL, status != BEZEL_OK);
    bz_free(&tw->world, text);
    bz_strbuf_free(&b);
    return status;
}

START_TEST(a_failing_allocation_leaves_the_text_whole_and_leaks_nothing)
{
    test_world tw;
    test_world_init(&tw);
    ck_assert_int_gt(test_world_sweep(&tw, strbuf_try, NULL, BEZEL_OK), 5);
}
END_TEST

Suite *strbuf_suite(void)
{
    Suite *s = suite_create("strbuf");
    TCase *t = tcase_create("strbuf");
    tcase_add_test(t, pieces_of_all_kinds_join_to_one_text);
    tcase_add_test(t, an_empty_buffer_can_be_taken);
    tcase_add_test(t, the_limit_is_exact_and_the_failure_sticks);
    tcase_add_test(t, cutting_and_erasing_keep_the_rest);
    tcase_add_test(t, a_failing_allocation_leaves_the_text_whole_and_leaks_nothing);
    suite_add_tcase(s, t);
    return s;
}
