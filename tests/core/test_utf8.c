/* SPDX-License-Identifier: MIT */
/* UTF-8: every code point, every pair of bytes, every cut. */
#include "base/utf8.h"

#include <check.h>
#include <string.h>

START_TEST(every_code_point_comes_back_and_surrogates_have_no_form)
{
    for (uint32_t cp = 0; cp <= 0x110100; cp++) {
        char bytes[4];
        uint32_t back = 0xFFFFFFFF;
        size_t n = bz_utf8_encode(bytes, cp);
        int exists = cp <= 0x10FFFF && !(cp >= 0xD800 && cp <= 0xDFFF);
        if (!exists) {
            ck_assert_uint_eq(n, 0);
            continue;
        }
        if (bz_utf8_decode(&back, bytes, n) != n || back != cp)
            ck_abort_msg("U+%04X does not come back", cp);
        if (bz_utf8_decode(&back, bytes, n - 1) != 0)
            ck_abort_msg("U+%04X is read from too few bytes", cp);
    }
    ck_assert_uint_eq(bz_utf8_encode((char[4]){0}, UINT32_MAX), 0);
}
END_TEST

START_TEST(forms_that_are_not_the_shortest_or_not_characters_are_invalid)
{
    static const char *const bad[] = {
        "\x80",         "\xBF",         "\xC0\x80",         "\xC1\xBF",         "\xC3",     "\xC3(",
        "\xE0\x80\x80", "\xE0\x9F\xBF", "\xED\xA0\x80",     "\xED\xBF\xBF",     "\xE2\x82", "\xE2(\xA1",
        "\xE2\x82(",    "\xF5\x80\x80\x80", "\xF0\x80\x80\x80", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80",
        "\xF0\x9F\x98", "\xFE",         "\xFF",
    };
    uint32_t cp;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ck_assert_uint_eq(bz_utf8_decode(&cp, bad[i], strlen(bad[i])), 0);
        ck_assert_int_eq(bz_utf8_valid(bad[i], strlen(bad[i])), 0);
    }
    ck_assert_int_eq(bz_utf8_valid("", 0), 1);
    ck_assert_int_eq(bz_utf8_valid("a\0b", 3), 1);
    ck_assert_int_eq(bz_utf8_valid("\xF4\x8F\xBF\xBF\xEE\x80\x80\xED\x9F\xBF", 10), 1);
}
END_TEST

START_TEST(count_takes_an_invalid_byte_as_one)
{
    ck_assert_uint_eq(bz_utf8_count("", 0), 0);
    ck_assert_uint_eq(bz_utf8_count("a\xC3\xA9\xE6\x97\xA5\xF0\x9F\x98\x80", 10), 4);
    ck_assert_uint_eq(bz_utf8_count("\xFF\xE6\x97", 3), 3);
}
END_TEST

/* For every valid text cut anywhere: the tail plus the missing bytes is one character. */
START_TEST(the_incomplete_tail_is_what_more_bytes_would_complete)
{
    static const char text[] = "a\xC3\xA9" "b\xE6\x97\xA5\xED\x9F\xBF\xF0\x9F\x98\x80\xF4\x8F\xBF\xBFz";
    size_t border = 0;
    for (size_t n = 0; n < sizeof text; n++) {
        if ((text[n] & 0xC0) != 0x80)
            border = n;
        ck_assert_uint_eq(bz_utf8_incomplete_tail(text, n), n - border);
        ck_assert_uint_eq(bz_utf8_cut(text, n), border);
    }
}
END_TEST

START_TEST(bytes_that_nothing_can_complete_are_no_tail)
{
    ck_assert_uint_eq(bz_utf8_incomplete_tail("\x80", 1), 0);
    ck_assert_uint_eq(bz_utf8_incomplete_tail("\x80\x80\x80\x80", 4), 0);
    ck_assert_uint_eq(bz_utf8_incomplete_tail("\xFF", 1), 0);
    ck_assert_uint_eq(bz_utf8_incomplete_tail("\xC0", 1), 0);
    ck_assert_uint_eq(bz_utf8_incomplete_tail("\xE0\x80", 2), 0);
    ck_assert_uint_eq(bz_utf8_incomplete_tail("\xED\xA0", 2), 0);
    ck_assert_uint_eq(bz_utf8_incomplete_tail("\xF4\x90\x80", 3), 0);
    ck_assert_uint_eq(bz_utf8_incomplete_tail("\xC3\xA9\x80", 3), 0);
    ck_assert_uint_eq(bz_utf8_incomplete_tail("\xF0\x9F\x98", 3), 3);
}
END_TEST

/* All short byte strings against a direct statement of the promise: the tail is the longest suffix that is invalid but can
 * be made one valid character by appending continuation bytes. */
START_TEST(the_tail_of_all_strings_of_three_bytes_keeps_its_promise)
{
    static const unsigned char set[] = {0x00, 'a', 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC2, 0xDF,
                                        0xE0, 0xE1, 0xEC, 0xED, 0xEF, 0xF0, 0xF3, 0xF4, 0xF5, 0xFF};
    enum { N = sizeof set };
    for (size_t k = 0; k < (size_t)N * N * N; k++) {
        char s[3] = {(char)set[k / N / N], (char)set[k / N % N], (char)set[k % N]};
        size_t expected = 0;
        for (size_t tail = 1; tail <= 3; tail++) {
            char whole[4];
            uint32_t cp;
            memcpy(whole, s + 3 - tail, tail);
            for (size_t length = tail + 1; length <= 4; length++) {
                memset(whole + tail, tail == 1 && (unsigned char)whole[0] == 0xE0 ? 0xA0 : tail == 1 && (unsigned char)whole[0] == 0xF0 ? 0x90 : 0x80,
                       4 - tail);
                if (bz_utf8_decode(&cp, whole, length) == length)
                    expected = tail;
            }
        }
        if (bz_utf8_incomplete_tail(s, 3) != expected)
            ck_abort_msg("%02x %02x %02x: tail %zu, expected %zu", s[0] & 0xFF, s[1] & 0xFF, s[2] & 0xFF,
                         bz_utf8_incomplete_tail(s, 3), expected);
    }
}
END_TEST

START_TEST(text_for_a_message_is_one_line_of_whole_characters)
{
    static const struct {
        const char *text, *expected;
    } rows[] = {{"plain", "plain"},
                {"a\nb\x1b[0m", "a?b?[0m"},
                {"\xC2\x85|\xFF|", "?|?|"},
                {"\xC3\xA9t\xC3\xA9", "\xC3\xA9t\xC3\xA9"},
                {"0123456789abcdef", "0123456789ab..."},
                {"0123456789\xF0\x9F\x98\x80\xF0\x9F\x98\x80", "0123456789..."}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char out[16];
        bz_utf8_show(out, sizeof out, rows[i].text, strlen(rows[i].text));
        ck_assert_str_eq(out, rows[i].expected);
    }
}
END_TEST

Suite *utf8_suite(void)
{
    Suite *s = suite_create("utf8");
    TCase *t = tcase_create("utf8");
    tcase_add_test(t, every_code_point_comes_back_and_surrogates_have_no_form);
    tcase_add_test(t, forms_that_are_not_the_shortest_or_not_characters_are_invalid);
    tcase_add_test(t, count_takes_an_invalid_byte_as_one);
    tcase_add_test(t, the_incomplete_tail_is_what_more_bytes_would_complete);
    tcase_add_test(t, bytes_that_nothing_can_complete_are_no_tail);
    tcase_add_test(t, the_tail_of_all_strings_of_three_bytes_keeps_its_promise);
    tcase_add_test(t, text_for_a_message_is_one_line_of_whole_characters);
    suite_add_tcase(s, t);
    return s;
}
