/* SPDX-License-Identifier: MIT */
/* The table of element types against the format's numbers. */
#include <check.h>
#include <string.h>

#include "base/dtype.h"

Suite *dtype_suite(void);

typedef struct known_type {
    uint32_t id, block, size;
    const char *name;
} known_type;

static const known_type known_types[] = {
    {0, 1, 4, "F32"},       {1, 1, 2, "F16"},       {2, 32, 18, "Q4_0"},    {3, 32, 20, "Q4_1"},    {6, 32, 22, "Q5_0"},
    {7, 32, 24, "Q5_1"},    {8, 32, 34, "Q8_0"},    {9, 32, 36, "Q8_1"},    {10, 256, 84, "Q2_K"},  {11, 256, 110, "Q3_K"},
    {12, 256, 144, "Q4_K"}, {13, 256, 176, "Q5_K"}, {14, 256, 210, "Q6_K"}, {15, 256, 292, "Q8_K"}, {20, 32, 18, "IQ4_NL"},
    {23, 256, 136, "IQ4_XS"}, {30, 1, 2, "BF16"},
};

START_TEST(every_known_id_has_the_block_of_the_format)
{
    const known_type *want = &known_types[_i];
    const bz_dtype *type = bz_dtype_find(want->id);
    ck_assert_ptr_nonnull(type);
    ck_assert_str_eq(type->name, want->name);
    ck_assert_uint_eq(type->block, want->block);
    ck_assert_uint_eq(type->block_size, want->size);
}
END_TEST

START_TEST(ids_of_removed_unsupported_and_unheard_of_types_are_not_found)
{
    static const uint32_t ids[] = {4, 5, 16, 17, 18, 19, 21, 22, 24, 25, 26, 27, 28, 29, 31, 32, 39, 41, 255, 0x80000000u, UINT32_MAX};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
        ck_assert_msg(bz_dtype_find(ids[i]) == NULL, "id %u was found", ids[i]);
}
END_TEST

Suite *dtype_suite(void)
{
    Suite *s = suite_create("dtype");
    TCase *c = tcase_create("table");
    tcase_add_loop_test(c, every_known_id_has_the_block_of_the_format, 0, sizeof known_types / sizeof *known_types);
    tcase_add_test(c, ids_of_removed_unsupported_and_unheard_of_types_are_not_found);
    suite_add_tcase(s, c);
    return s;
}
