/* SPDX-License-Identifier: MIT */
/* The value tree. */
#include "base/value_impl.h"
#include "support/test_world.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static test_world tw;
static bezel_tree *tree;

static void value_setup(void)
{
    test_world_init(&tw);
    ck_assert_int_eq(bz_tree_new(&tree, &tw.world, NULL), BEZEL_OK);
}

static void value_teardown(void)
{
    bezel_tree_free(tree);
    ck_assert(test_world_is_clean(&tw));
}

START_TEST(scalars_hold_what_they_were_given)
{
    size_t size = 0;
    ck_assert_uint_eq(bezel_value_type(bezel_tree_null(tree)), BEZEL_NULL);
    ck_assert_int_eq(bezel_value_bool(bezel_tree_bool(tree, 7)), 1);
    ck_assert_int_eq(bezel_value_bool(bezel_tree_bool(tree, 0)), 0);
    ck_assert_int_eq(bezel_value_integer(bezel_tree_integer(tree, INT64_MIN)), INT64_MIN);
    ck_assert_double_eq(bezel_value_number(bezel_tree_number(tree, 2.5)), 2.5);
    ck_assert_str_eq(bezel_value_text(bezel_tree_text(tree, "Tokyo, Japan", 5), &size), "Tokyo");
    ck_assert_uint_eq(size, 5);
    ck_assert_mem_eq(bezel_value_text(bezel_tree_text(tree, "a\0b", 3), &size), "a\0b", 4);
    ck_assert_uint_eq(size, 3);
}
END_TEST

START_TEST(numbers_convert_without_undefined_behaviour)
{
    ck_assert_int_eq(bezel_value_integer(bezel_tree_number(tree, -2.9)), -2);
    ck_assert_int_eq(bezel_value_integer(bezel_tree_number(tree, 1e300)), INT64_MAX);
    ck_assert_int_eq(bezel_value_integer(bezel_tree_number(tree, -1e300)), INT64_MIN);
    ck_assert_int_eq(bezel_value_integer(bezel_tree_number(tree, -0x1p63)), INT64_MIN);
    ck_assert_int_eq(bezel_value_integer(bezel_tree_number(tree, (double)NAN)), 0);
    ck_assert_double_eq(bezel_value_number(bezel_tree_integer(tree, 3)), 3.0);
}
END_TEST

START_TEST(invalid_utf8_becomes_the_replacement_character)
{
    size_t size = 0;
    ck_assert_str_eq(bezel_value_text(bezel_tree_text(tree, "a\xFF\xE6\x97z", SIZE_MAX), &size),
                     "a\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBDz");
    ck_assert_uint_eq(size, 11);
    bezel_value *map = bezel_tree_map(tree);
    bezel_value_set(tree, map, "k\x80", bezel_tree_null(tree));
    ck_assert_str_eq(bezel_value_key(map, 0, NULL), "k\xEF\xBF\xBD");
    bezel_value_set(tree, map, "k\x81", bezel_tree_bool(tree, 1));
    ck_assert_uint_eq(bezel_value_count(map), 1);
}
END_TEST

START_TEST(reading_null_or_the_wrong_type_answers_as_for_null)
{
    size_t size = 9;
    const bezel_value *text = bezel_tree_text(tree, "5", 1);
    ck_assert_uint_eq(bezel_value_type(NULL), BEZEL_NULL);
    ck_assert_int_eq(bezel_value_bool(bezel_tree_integer(tree, 1)), 0);
    ck_assert_int_eq(bezel_value_integer(text), 0);
    ck_assert_double_eq(bezel_value_number(text), 0.0);
    ck_assert_str_eq(bezel_value_text(NULL, &size), "");
    ck_assert_uint_eq(size, 0);
    ck_assert_uint_eq(bezel_value_count(text), 0);
    ck_assert_ptr_null(bezel_value_at(text, 0));
    ck_assert_str_eq(bezel_value_key(text, 0, &size), "");
    ck_assert_ptr_null(bezel_value_get(text, "x"));
    ck_assert_ptr_null(bezel_value_get(NULL, "x"));
    ck_assert_ptr_null(bezel_value_get(bezel_tree_map(tree), NULL));
    ck_assert_int_eq(bezel_value_equal(NULL, bezel_tree_null(tree)), 1);
}
END_TEST

START_TEST(a_map_keeps_the_order_of_keys_and_a_new_item_keeps_the_old_place)
{
    bezel_value *map = bezel_tree_map(tree);
    bezel_value *first = bezel_tree_integer(tree, 1);
    bezel_value_set(tree, map, "b", first);
    bezel_value_set(tree, map, "a", bezel_tree_integer(tree, 2));
    bezel_value_set_n(tree, map, "b and more", 1, bezel_tree_integer(tree, 3));
    bezel_value_set(tree, map, "", bezel_tree_integer(tree, 4));
    ck_assert_uint_eq(bezel_value_count(map), 3);
    ck_assert_str_eq(bezel_value_key(map, 0, NULL), "b");
    ck_assert_int_eq(bezel_value_integer(bezel_value_at(map, 0)), 3);
    ck_assert_str_eq(bezel_value_key(map, 1, NULL), "a");
    ck_assert_int_eq(bezel_value_integer(bezel_value_get(map, "")), 4);
    bezel_value *list = bezel_tree_list(tree);
    bezel_value_append(tree, list, first); /* free again since it was replaced */
    ck_assert_int_eq(bezel_tree_status(tree), BEZEL_OK);
}
END_TEST

START_TEST(maps_and_lists_of_any_size_find_every_item)
{
    char key[32];
    bezel_value *map = bezel_tree_map(tree);
    bezel_value *list = bezel_tree_list(tree);
    for (int i = 0; i < 5000; i++) {
        snprintf(key, sizeof key, "key-%d", i);
        bezel_value_set(tree, map, key, bezel_tree_integer(tree, i));
        bezel_value_append(tree, list, bezel_tree_integer(tree, i));
    }
    ck_assert_int_eq(bezel_tree_status(tree), BEZEL_OK);
    for (int i = 0; i < 5000; i++) {
        snprintf(key, sizeof key, "key-%d", i);
        ck_assert_int_eq(bezel_value_integer(bezel_value_get(map, key)), i);
        ck_assert_int_eq(bezel_value_integer(bezel_value_at(list, (size_t)i)), i);
        ck_assert_str_eq(bezel_value_key(map, (size_t)i, NULL), key);
    }
    ck_assert_ptr_null(bezel_value_get(map, "key-5000"));
    ck_assert_ptr_null(bezel_value_at(list, 5000));
}
END_TEST

START_TEST(equality_is_deep_and_knows_that_3_is_3_point_0)
{
    bezel_value *a = bezel_tree_map(tree);
    bezel_value *b = bezel_tree_map(tree);
    bezel_value *list_a = bezel_tree_list(tree);
    bezel_value *list_b = bezel_tree_list(tree);
    bezel_value_append(tree, list_a, bezel_tree_integer(tree, 3));
    bezel_value_append(tree, list_b, bezel_tree_number(tree, 3.0));
    bezel_value_set(tree, a, "x", bezel_tree_bool(tree, 1));
    bezel_value_set(tree, a, "y", list_a);
    bezel_value_set(tree, b, "y", list_b);
    bezel_value_set(tree, b, "x", bezel_tree_bool(tree, 1));
    ck_assert_int_eq(bezel_value_equal(a, b), 1);
    bezel_value_append(tree, list_b, bezel_tree_null(tree));
    ck_assert_int_eq(bezel_value_equal(a, b), 0);
    ck_assert_int_eq(bezel_value_equal(bezel_tree_integer(tree, INT64_MAX), bezel_tree_number(tree, 0x1p63)), 0);
    ck_assert_int_eq(bezel_value_equal(bezel_tree_number(tree, (double)NAN), bezel_tree_number(tree, (double)NAN)), 0);
    ck_assert_int_eq(bezel_value_equal(bezel_tree_text(tree, "a\0b", 3), bezel_tree_text(tree, "a\0c", 3)), 0);
    ck_assert_int_eq(bezel_value_equal(bezel_tree_bool(tree, 1), bezel_tree_integer(tree, 1)), 0);
    ck_assert_int_eq(bezel_value_equal(bezel_tree_list(tree), bezel_tree_map(tree)), 0);
}
END_TEST

START_TEST(a_copy_is_equal_and_independent_of_its_source)
{
    bezel_tree *other = NULL;
    ck_assert_int_eq(bz_tree_new(&other, &tw.world, NULL), BEZEL_OK);
    bezel_value *map = bezel_tree_map(other);
    bezel_value *list = bezel_tree_list(other);
    bezel_value_set(other, map, "list", list);
    for (int i = 0; i < 20; i++)
        bezel_value_append(other, list, bezel_tree_number(other, i + 0.5));
    bezel_value_set(other, map, "text", bezel_tree_text(other, "caf\xC3\xA9", SIZE_MAX));
    bezel_value_set(other, map, "flag", bezel_tree_bool(other, 1));
    bezel_value *copy = bezel_tree_copy(tree, map);
    ck_assert_int_eq(bezel_value_equal(map, copy), 1);
    bezel_tree_free(other);
    ck_assert_str_eq(bezel_value_text(bezel_value_get(copy, "text"), NULL), "caf\xC3\xA9");
    ck_assert_uint_eq(bezel_value_type(bezel_tree_copy(tree, NULL)), BEZEL_NULL);
}
END_TEST

/* --- Misuse and limits: the first failure sticks ------------------------------------------ */

START_TEST(an_item_has_one_place_and_cannot_hold_itself)
{
    bezel_value *list = bezel_tree_list(tree);
    bezel_value *inner = bezel_tree_list(tree);
    bezel_value_append(tree, list, inner);
    bezel_value_append(tree, list, inner);
    ck_assert_int_eq(bezel_tree_status(tree), BEZEL_ERR_ARGUMENT);
    ck_assert_uint_eq(bezel_value_count(list), 1);
    ck_assert_ptr_null(bezel_tree_null(tree));
    bezel_tree_free(tree);
    ck_assert_int_eq(bz_tree_new(&tree, &tw.world, NULL), BEZEL_OK);
    list = bezel_tree_list(tree);
    inner = bezel_tree_list(tree);
    bezel_value_append(tree, list, inner);
    bezel_value_append(tree, inner, list);
    ck_assert_int_eq(bezel_tree_status(tree), BEZEL_ERR_ARGUMENT);
    ck_assert_uint_eq(bezel_value_count(inner), 0);
}
END_TEST

START_TEST(an_item_of_another_tree_is_refused)
{
    bezel_tree *other = NULL;
    ck_assert_int_eq(bz_tree_new(&other, &tw.world, NULL), BEZEL_OK);
    bezel_value *list = bezel_tree_list(tree);
    bezel_value_append(tree, list, bezel_tree_null(other));
    ck_assert_int_eq(bezel_tree_status(tree), BEZEL_ERR_ARGUMENT);
    bezel_value_append(other, list, bezel_tree_null(other));
    ck_assert_int_eq(bezel_tree_status(other), BEZEL_ERR_ARGUMENT);
    ck_assert_uint_eq(bezel_value_count(list), 0);
    bezel_tree_free(other);
}
END_TEST

START_TEST(building_on_the_wrong_type_is_a_type_error)
{
    bezel_value_append(tree, bezel_tree_map(tree), bezel_tree_null(tree));
    ck_assert_int_eq(bezel_tree_status(tree), BEZEL_ERR_TYPE);
}
END_TEST

START_TEST(null_anywhere_is_an_argument_error_and_no_crash)
{
    bezel_value_append(NULL, NULL, NULL);
    bezel_value_set(NULL, NULL, NULL, NULL);
    ck_assert_ptr_null(bezel_tree_text(NULL, "x", 1));
    ck_assert_ptr_null(bezel_tree_map(NULL));
    ck_assert_ptr_null(bezel_tree_copy(NULL, NULL));
    ck_assert_int_eq(bezel_tree_status(NULL), BEZEL_ERR_ARGUMENT);
    bezel_tree_free(NULL);
    bezel_value_set(tree, bezel_tree_map(tree), NULL, bezel_tree_null(tree));
    ck_assert_int_eq(bezel_tree_status(tree), BEZEL_ERR_ARGUMENT);
}
END_TEST

static bezel_value *value_chain(unsigned depth)
{
    bezel_value *outer = bezel_tree_list(tree);
    for (unsigned i = 1; i < depth; i++) {
        bezel_value *next = bezel_tree_list(tree);
        bezel_value_append(tree, next, outer);
        outer = next;
    }
    return outer;
}

START_TEST(depth_64_is_the_end_however_it_is_reached)
{
    bezel_value *deep = value_chain(64);
    ck_assert_int_eq(bezel_tree_status(tree), BEZEL_OK);
    ck_assert_ptr_nonnull(bezel_tree_copy(tree, deep));
    ck_assert_int_eq(bezel_value_equal(deep, deep), 1);
    bezel_value_append(tree, bezel_tree_list(tree), deep);
    ck_assert_int_eq(bezel_tree_status(tree), BEZEL_ERR_LIMIT);
    bezel_tree_free(tree);
    ck_assert_int_eq(bz_tree_new(&tree, &tw.world, NULL), BEZEL_OK);
    /* from above: 40 levels, then 25 more hung on the innermost */
    const bezel_value *bottom = deep = value_chain(40);
    while (bezel_value_count(bottom) > 0)
        bottom = bezel_value_at(bottom, 0);
    bezel_value_append(tree, (bezel_value *)(uintptr_t)bottom, value_chain(24));
    ck_assert_int_eq(bezel_tree_status(tree), BEZEL_OK);
    bezel_value_append(tree, (bezel_value *)(uintptr_t)bottom, value_chain(25));
    ck_assert_int_eq(bezel_tree_status(tree), BEZEL_ERR_LIMIT);
}
END_TEST

START_TEST(a_random_source_that_fails_is_reported)
{
    bezel_tree *other = NULL;
    bezel_error err = BEZEL_ERROR_INIT;
    tw.random_status = BEZEL_ERR_IO;
    ck_assert_int_eq(bz_tree_new(&other, &tw.world, &err), BEZEL_ERR_IO);
    ck_assert_ptr_null(other);
    ck_assert_ptr_nonnull(strstr(err.text, "random"));
}
END_TEST

static bezel_status value_try(test_world *world, void *ctx)
{
    bezel_tree *t = NULL;
    bezel_tree *u = NULL;
    bezel_status status = bz_tree_new(&t, &world->world, NULL);
    (void)ctx;
    if (status == BEZEL_OK)
        status = bz_tree_new(&u, &world->world, NULL);
    if (status == BEZEL_OK) {
        bezel_value *map = bezel_tree_map(t);
        for (int i = 0; i < 300; i++) {
            char key[40];
            bezel_value *list = bezel_tree_list(t);
            snprintf(key, sizeof key, "a key, number %d", i);
            bezel_value_append(t, list, bezel_tree_text(t, key, SIZE_MAX));
            bezel_value_set(t, map, key, list);
        }
        status = bezel_tree_status(t);
        if (status == BEZEL_OK) {
            bezel_value *copy = bezel_tree_copy(u, map);
            status = bezel_tree_status(u);
            ck_assert_int_eq(copy != NULL, status == BEZEL_OK);
        }
    }
    bezel_tree_free(u);
    bezel_tree_free(t);
    return status;
}

START_TEST(a_failing_allocation_makes_the_tree_fail_and_leaks_nothing)
{
    ck_assert_int_gt(test_world_sweep(&tw, value_try, NULL, BEZEL_OK), 8);
}
END_TEST

Suite *value_suite(void)
{
    Suite *s = suite_create("value");
    TCase *t = tcase_create("values");
    tcase_add_checked_fixture(t, value_setup, value_teardown);
    tcase_add_test(t, scalars_hold_what_they_were_given);
    tcase_add_test(t, numbers_convert_without_undefined_behaviour);
    tcase_add_test(t, invalid_utf8_becomes_the_replacement_character);
    tcase_add_test(t, reading_null_or_the_wrong_type_answers_as_for_null);
    tcase_add_test(t, a_map_keeps_the_order_of_keys_and_a_new_item_keeps_the_old_place);
    tcase_add_test(t, maps_and_lists_of_any_size_find_every_item);
    tcase_add_test(t, equality_is_deep_and_knows_that_3_is_3_point_0);
    tcase_add_test(t, a_copy_is_equal_and_independent_of_its_source);
    suite_add_tcase(s, t);
    t = tcase_create("misuse and limits");
    tcase_add_checked_fixture(t, value_setup, value_teardown);
    tcase_add_test(t, an_item_has_one_place_and_cannot_hold_itself);
    tcase_add_test(t, an_item_of_another_tree_is_refused);
    tcase_add_test(t, building_on_the_wrong_type_is_a_type_error);
    tcase_add_test(t, null_anywhere_is_an_argument_error_and_no_crash);
    tcase_add_test(t, depth_64_is_the_end_however_it_is_reached);
    tcase_add_test(t, a_random_source_that_fails_is_reported);
    tcase_add_test(t, a_failing_allocation_makes_the_tree_fail_and_leaks_nothing);
    suite_add_tcase(s, t);
    return s;
}
