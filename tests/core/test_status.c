/* SPDX-License-Identifier: MIT */
/* Names of statuses, texts of errors, facts about the build. */
#include "base/status.h"
#include "base/utf8.h"

#include <check.h>
#include <string.h>

START_TEST(every_status_has_a_name_of_its_own)
{
    for (bezel_status a = BEZEL_ERR_INTERNAL; a <= BEZEL_DONE; a++) {
        ck_assert_str_ne(bezel_status_name(a), "unknown");
        for (bezel_status b = a + 1; b <= BEZEL_DONE; b++)
            ck_assert_str_ne(bezel_status_name(a), bezel_status_name(b));
    }
    ck_assert_str_eq(bezel_status_name(BEZEL_OK), "ok");
    ck_assert_str_eq(bezel_status_name(BEZEL_TOOL_PENDING), "tool_pending");
    ck_assert_str_eq(bezel_status_name(BEZEL_ERR_MEMORY), "memory");
    ck_assert_str_eq(bezel_status_name(BEZEL_ERR_RANGE), "range");
    ck_assert_str_eq(bezel_status_name(BEZEL_ERR_CHANGED), "changed");
    ck_assert_str_eq(bezel_status_name(BEZEL_ERR_CANCELLED), "cancelled");
    ck_assert_str_eq(bezel_status_name(BEZEL_ERR_NETWORK), "network");
    ck_assert_str_eq(bezel_status_name(BEZEL_ERR_INTERNAL), "internal");
}
END_TEST

START_TEST(numbers_that_are_no_status_are_unknown)
{
    ck_assert_str_eq(bezel_status_name(5), "unknown");
    ck_assert_str_eq(bezel_status_name(BEZEL_ERR_INTERNAL - 1), "unknown");
    ck_assert_str_eq(bezel_status_name(INT32_MIN), "unknown");
    ck_assert_str_eq(bezel_status_name(INT32_MAX), "unknown");
}
END_TEST

START_TEST(an_error_is_filled_whole_and_overwrites_the_one_before)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bz_fail(&err, BEZEL_ERR_FORMAT, "gguf", "old %d", 1);
    bz_error_hint(&err, BEZEL_ERR_FORMAT, "old hint");
    bz_error_place(&err, BEZEL_ERR_FORMAT, "old %s", "place");
    ck_assert_int_eq(bz_error_offset(&err, BEZEL_ERR_FORMAT, 77), BEZEL_ERR_FORMAT);
    ck_assert_str_eq(err.place, "old place");
    ck_assert_int_eq(err.offset, 77);
    ck_assert_int_eq(bz_fail(&err, BEZEL_ERR_RANGE, "model", "value %d, expected %s", 7, "1 to 5"), BEZEL_ERR_RANGE);
    ck_assert_int_eq(err.status, BEZEL_ERR_RANGE);
    ck_assert_str_eq(err.origin, "model");
    ck_assert_str_eq(err.text, "value 7, expected 1 to 5");
    ck_assert_str_eq(err.hint, "");
    ck_assert_str_eq(err.place, "");
    ck_assert_int_eq(err.offset, -1);
}
END_TEST

START_TEST(every_function_takes_null_for_the_error)
{
    bezel_error kept = BEZEL_ERROR_INIT;
    kept.status = BEZEL_ERR_IO;
    ck_assert_int_eq(bz_fail(NULL, BEZEL_ERR_IO, "x", "%s", "y"), BEZEL_ERR_IO);
    ck_assert_int_eq(bz_fail_memory(NULL, "x", "y", 1), BEZEL_ERR_MEMORY);
    ck_assert_int_eq(bz_error_hint(NULL, BEZEL_ERR_IO, "x"), BEZEL_ERR_IO);
    ck_assert_int_eq(bz_error_place(NULL, BEZEL_ERR_IO, "x"), BEZEL_ERR_IO);
    ck_assert_int_eq(bz_error_offset(NULL, BEZEL_ERR_IO, 1), BEZEL_ERR_IO);
    ck_assert_int_eq(bz_error_copy(NULL, &kept), BEZEL_ERR_IO);
}
END_TEST

START_TEST(a_struct_of_another_size_keeps_its_size_and_its_other_bytes)
{
    struct {
        bezel_error error;
        char later[8];
    } newer = {BEZEL_ERROR_INIT, "kept"};
    newer.error.size = sizeof newer;
    bz_fail(&newer.error, BEZEL_ERR_IO, "os", "text");
    ck_assert_uint_eq(newer.error.size, sizeof newer);
    ck_assert_str_eq(newer.later, "kept");
    bezel_error zeroed;
    memset(&zeroed, 0, sizeof zeroed);
    bz_fail(&zeroed, BEZEL_ERR_IO, "os", "text");
    ck_assert_uint_eq(zeroed.size, sizeof zeroed);
    ck_assert_str_eq(zeroed.text, "text");
}
END_TEST

START_TEST(texts_are_escaped_where_a_terminal_could_be_fooled)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bz_fail(&err, BEZEL_ERR_FORMAT, "a\nb", "key \"%s\"", "x\033[2J\r\n\t\x7F\x80\xFF\xC3(\xED\xA0\x80");
    ck_assert_str_eq(err.origin, "a\\x0ab");
    ck_assert_str_eq(err.text, "key \"x\\x1b[2J\\x0d\\x0a\\x09\\x7f\\x80\\xff\\xc3(\\xed\\xa0\\x80\"");
    bz_fail(&err, BEZEL_ERR_FORMAT, "t", "%s", "caf\xC3\xA9 \xE6\x97\xA5\xE6\x9C\xAC \xF0\x9F\x98\x80");
    ck_assert_str_eq(err.text, "caf\xC3\xA9 \xE6\x97\xA5\xE6\x9C\xAC \xF0\x9F\x98\x80");
    /* C1 control, right-to-left override, line separator, byte order mark */
    bz_fail(&err, BEZEL_ERR_FORMAT, "t", "%s", "\xC2\x85|\xE2\x80\xAE|\xE2\x80\xA8|\xEF\xBB\xBF");
    ck_assert_str_eq(err.text, "\\xc2\\x85|\\xe2\\x80\\xae|\\xe2\\x80\\xa8|\\xef\\xbb\\xbf");
}
END_TEST

/* Every length and every shift of multi-byte characters around the end of the member. */
START_TEST(long_texts_are_cut_at_a_character_border)
{
    static const char *const pieces[] = {"a", "\xC3\xA9", "\xE6\x97\xA5", "\xF0\x9F\x98\x80", "\n", "\xFF"};
    char raw[3000];
    for (size_t p = 0; p < sizeof pieces / sizeof pieces[0]; p++) {
        for (size_t shift = 0; shift < 5; shift++) {
            bezel_error err = BEZEL_ERROR_INIT;
            size_t n = shift;
            memset(raw, 'x', shift);
            while (n + 5 < sizeof raw) {
                memcpy(raw + n, pieces[p], strlen(pieces[p]));
                n += strlen(pieces[p]);
            }
            raw[n] = '\0';
            bz_fail(&err, BEZEL_ERR_FORMAT, raw, "%s", raw);
            bz_error_hint(&err, BEZEL_ERR_FORMAT, "%s", raw);
            bz_error_place(&err, BEZEL_ERR_FORMAT, "%s", raw);
            ck_assert(strlen(err.text) >= sizeof err.text - 5 && strlen(err.text) < sizeof err.text);
            ck_assert(strlen(err.hint) >= sizeof err.hint - 5 && strlen(err.hint) < sizeof err.hint);
            ck_assert(strlen(err.place) >= sizeof err.place - 5 && strlen(err.place) < sizeof err.place);
            ck_assert(strlen(err.origin) >= sizeof err.origin - 5 && strlen(err.origin) < sizeof err.origin);
            ck_assert(bz_utf8_valid(err.text, strlen(err.text)));
            ck_assert(bz_utf8_valid(err.origin, strlen(err.origin)));
        }
    }
}
END_TEST

START_TEST(an_error_copy_is_equal_but_for_the_size_of_the_target)
{
    bezel_error a = BEZEL_ERROR_INIT;
    bezel_error b = BEZEL_ERROR_INIT;
    bz_fail(&a, BEZEL_ERR_LIMIT, "json", "too deep");
    bz_error_offset(&a, BEZEL_ERR_LIMIT, 12);
    ck_assert_int_eq(bz_error_copy(&b, &a), BEZEL_ERR_LIMIT);
    ck_assert_mem_eq(&a, &b, sizeof a);
    ck_assert_int_eq(bz_error_copy(&b, &b), BEZEL_ERR_LIMIT);
    bz_fail_memory(&b, "model", "a page", 4096);
    ck_assert_str_eq(b.text, "out of memory: 4096 bytes for a page");
}
END_TEST

START_TEST(the_version_is_the_headers_and_unknown_parts_are_not_there)
{
    ck_assert_str_eq(bezel_version(), BEZEL_VERSION_TEXT);
    ck_assert_int_eq(bezel_has("no such part"), 0);
    ck_assert_int_eq(bezel_has(""), 0);
    ck_assert_int_eq(bezel_has(NULL), 0);
#if defined(__x86_64__)
    ck_assert_int_eq(bezel_has("avx2"), 1);
    ck_assert_int_eq(bezel_has("neon"), 0);
#elif defined(__aarch64__)
    ck_assert_int_eq(bezel_has("avx2"), 0);
    ck_assert_int_eq(bezel_has("neon"), 1);
#endif
}
END_TEST

Suite *status_suite(void)
{
    Suite *s = suite_create("status");
    TCase *t = tcase_create("names");
    tcase_add_test(t, every_status_has_a_name_of_its_own);
    tcase_add_test(t, numbers_that_are_no_status_are_unknown);
    suite_add_tcase(s, t);
    t = tcase_create("errors");
    tcase_add_test(t, an_error_is_filled_whole_and_overwrites_the_one_before);
    tcase_add_test(t, every_function_takes_null_for_the_error);
    tcase_add_test(t, a_struct_of_another_size_keeps_its_size_and_its_other_bytes);
    tcase_add_test(t, texts_are_escaped_where_a_terminal_could_be_fooled);
    tcase_add_test(t, long_texts_are_cut_at_a_character_border);
    tcase_add_test(t, an_error_copy_is_equal_but_for_the_size_of_the_target);
    suite_add_tcase(s, t);
    t = tcase_create("build");
    tcase_add_test(t, the_version_is_the_headers_and_unknown_parts_are_not_there);
    suite_add_tcase(s, t);
    return s;
}
