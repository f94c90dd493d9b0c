/* SPDX-License-Identifier: MIT */
/* Stop strings in text that comes in any pieces, against a plain search. */
#include "base/rng.h"
#include "support/test_world.h"
#include "text/stop_match.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

static bezel_world world;
static bz_strbuf out;
static bezel_error err;

static void setup(void)
{
    bezel_world_init(&world);
    bz_strbuf_init(&out, &world, 0);
    err = (bezel_error)BEZEL_ERROR_INIT;
}

static void teardown(void)
{
    bz_strbuf_free(&out);
}

static bz_stop_match *make(const char *const *stops, size_t n)
{
    bz_stop_match *m;
    bezel_status st = bz_stop_match_new(&m, &world, stops, n, &err);
    ck_assert_msg(st == BEZEL_OK, "%s", err.text);
    return m;
}

typedef struct stop_case {
    const char *stops[5];
    const char *text, *want;
    int found;
} stop_case;

static const stop_case stop_cases[] = {
    {{"\nUser:", "\nAvailable"}, "It is 21.\nUser: and", "It is 21.", 0},
    {{"\nUser:", "\nAvailable"}, "It is 21.\nUse it", "It is 21.\nUse it", -1},
    {{"\nUser:", "\nAvailable"}, "a\n\nAvailable", "a\n", 1},
    {{"aab"}, "aaab", "a", 0},
    {{"abab", "ba"}, "xabab", "xa", 1},        /* ba ends first */
    {{"b", "ab", "xab"}, "xxab", "x", 2},      /* all end at the same place: the longest */
    {{"ab", "abcd", "bc"}, "zabcd", "z", 0},   /* ab ends before the others */
    {{"abcd", "bc"}, "zabcd", "za", 1},        /* bc ends inside abcd */
    {{"aaaa"}, "aaabaaa", "aaabaaa", -1},
    {{"x", "x"}, "ax", "a", 0},                /* twice the same: the first */
    {{"\303\251t\303\251"}, "l'\303\251t \303\251t\303\251!", "l'\303\251t ", 0},
    {{"stop"}, "", "", -1},
    {{"stop"}, "stop", "", 0},
    {{NULL}, "nothing stops this", "nothing stops this", -1},
};

static size_t count_stops(const stop_case *c)
{
    size_t n = 0;
    while (n < 5 && c->stops[n])
        n++;
    return n;
}

/* Pushes the text in pieces that end at the given places. */
static void run(const stop_case *c, const size_t *ends, size_t n_ends)
{
    bz_stop_match *m = make(c->stops, count_stops(c));
    size_t size = strlen(c->text), begin = 0;
    int found = -1;
    bz_strbuf_reset(&out);
    for (size_t i = 0; i <= n_ends; i++) {
        size_t end = i < n_ends ? ends[i] : size;
        found = bz_stop_match_push(m, &out, c->text + begin, end - begin);
        begin = end;
    }
    bz_stop_match_finish(m, &out);
    ck_assert_int_eq(found, c->found);
    ck_assert_str_eq(bz_strbuf_cstr(&out), c->want);
    bz_stop_match_free(m);
}

START_TEST(the_string_that_ends_first_stops_the_text)
{
    for (size_t i = 0; i < sizeof stop_cases / sizeof *stop_cases; i++)
        run(&stop_cases[i], NULL, 0);
}
END_TEST

START_TEST(every_split_point_gives_the_same_result)
{
    for (size_t i = 0; i < sizeof stop_cases / sizeof *stop_cases; i++) {
        size_t size = strlen(stop_cases[i].text), ends[64];
        for (size_t cut = 0; cut <= size; cut++)
            run(&stop_cases[i], &cut, 1);
        for (size_t k = 0; k < size; k++)
            ends[k] = k;
        run(&stop_cases[i], ends, size);
    }
}
END_TEST

START_TEST(only_what_could_begin_a_stop_string_is_held)
{
    const char *const stops[] = {"\nUser:", "ser!"};
    bz_stop_match *m = make(stops, 2);
    bz_stop_match_push(m, &out, "abc", 3);
    ck_assert_str_eq(bz_strbuf_cstr(&out), "abc");
    bz_stop_match_push(m, &out, "\nUser", 5);
    ck_assert_str_eq(bz_strbuf_cstr(&out), "abc");
    bz_stop_match_push(m, &out, "s", 1); /* neither; but s may begin the second */
    ck_assert_str_eq(bz_strbuf_cstr(&out), "abc\nUser");
    bz_stop_match_finish(m, &out);
    ck_assert_str_eq(bz_strbuf_cstr(&out), "abc\nUsers");
    bz_stop_match_free(m);
}
END_TEST

START_TEST(after_a_stop_nothing_comes_out)
{
    const char *const stops[] = {"END"};
    bz_stop_match *m = make(stops, 1);
    ck_assert_int_eq(bz_stop_match_push(m, &out, "a END b", 7), 0);
    ck_assert_int_eq(bz_stop_match_push(m, &out, "more", 4), 0);
    bz_stop_match_finish(m, &out);
    ck_assert_str_eq(bz_strbuf_cstr(&out), "a ");
    bz_stop_match_free(m);
}
END_TEST

START_TEST(wrong_strings_are_refused_with_their_place)
{
    static char large[300];
    const char *many[65];
    const char *const empty[] = {"a", ""}, *const null[] = {NULL}, *const broken[] = {"\303"};
    const char *const too_large[] = {large};
    bz_stop_match *m;
    memset(large, 'x', 257);
    for (size_t i = 0; i < 65; i++)
        many[i] = "m";
    ck_assert_int_eq(bz_stop_match_new(&m, &world, empty, 2, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(err.text, "stop string 1"));
    ck_assert_ptr_null(m);
    ck_assert_int_eq(bz_stop_match_new(&m, &world, null, 1, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_int_eq(bz_stop_match_new(&m, &world, broken, 1, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_int_eq(bz_stop_match_new(&m, &world, many, 65, &err), BEZEL_ERR_LIMIT);
    ck_assert_int_eq(bz_stop_match_new(&m, &world, too_large, 1, &err), BEZEL_ERR_LIMIT);
    large[256] = 0;
    ck_assert_int_eq(bz_stop_match_new(&m, &world, too_large, 1, &err), BEZEL_OK);
    bz_stop_match_free(m);
    bz_stop_match_free(NULL);
}
END_TEST

START_TEST(sixty_four_strings_of_full_size_work)
{
    static char texts[64][257];
    const char *stops[64];
    for (size_t i = 0; i < 64; i++) {
        memset(texts[i], 'a', 256);
        texts[i][255] = (char)('A' + (int)i % 26);
        texts[i][254] = (char)('A' + (int)i / 26);
        stops[i] = texts[i];
    }
    bz_stop_match *m = make(stops, 64);
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(bz_stop_match_push(m, &out, texts[0], 254), -1);
    ck_assert_int_eq(bz_stop_match_push(m, &out, texts[63] + 254, 2), 63);
    ck_assert_uint_eq(out.size, 9 * 254);
    bz_stop_match_free(m);
}
END_TEST

/* The rule as it reads: the first place where a string ends; there the longest. */
static int find_naively(const char *const *stops, size_t n, const char *text, size_t *out_size)
{
    for (size_t end = 1; end <= strlen(text); end++) {
        int best = -1;
        for (size_t i = 0; i < n; i++) {
            size_t size = strlen(stops[i]);
            if (size <= end && !memcmp(text + end - size, stops[i], size) &&
                (best < 0 || size > strlen(stops[best])))
                best = (int)i;
        }
        if (best >= 0) {
            *out_size = end - strlen(stops[best]);
            return best;
        }
    }
    *out_size = strlen(text);
    return -1;
}

START_TEST(random_strings_agree_with_the_plain_rule)
{
    bz_rng rng;
    bz_rng_seed(&rng, 9);
    for (int round = 0; round < 4000; round++) {
        char strings[4][8], text[41];
        const char *stops[4];
        size_t n = 1 + bz_rng_next(&rng) % 4, size, at = 0;
        for (size_t i = 0; i < n; i++) {
            size_t k = 1 + bz_rng_next(&rng) % 6;
            for (size_t j = 0; j < k; j++)
                strings[i][j] = (char)('a' + bz_rng_next(&rng) % 2);
            strings[i][k] = 0;
            stops[i] = strings[i];
        }
        for (size_t j = 0; j < 40; j++)
            text[j] = (char)(bz_rng_next(&rng) % 9 ? 'a' : "bc"[bz_rng_next(&rng) % 2]);
        text[40] = 0;
        int want = find_naively(stops, n, text, &size), found = -1;
        bz_stop_match *m = make(stops, n);
        bz_strbuf_reset(&out);
        while (at < 40 && found < 0) {
            size_t k = 1 + bz_rng_next(&rng) % 7;
            k = k > 40 - at ? 40 - at : k;
            found = bz_stop_match_push(m, &out, text + at, k);
            at += k;
        }
        bz_stop_match_finish(m, &out);
        bz_stop_match_free(m);
        ck_assert_int_eq(found, want);
        ck_assert_uint_eq(out.size, size);
        ck_assert_mem_eq(bz_strbuf_cstr(&out), text, size);
    }
}
END_TEST

static bezel_status match_once(test_world *tw, void *ctx)
{
    const char *const stops[] = {"abc", "cde"};
    bz_stop_match *m;
    (void)ctx;
    bezel_status st = bz_stop_match_new(&m, &tw->world, stops, 2, &err);
    bz_stop_match_free(m);
    return st;
}

START_TEST(a_failing_allocation_leaves_nothing_behind)
{
    test_world tw;
    test_world_init(&tw);
    ck_assert_int_eq(test_world_sweep(&tw, match_once, NULL, BEZEL_OK), 4);
}
END_TEST

Suite *stop_match_suite(void);
Suite *stop_match_suite(void)
{
    Suite *s = suite_create("stop_match");
    TCase *t = tcase_create("stop_match");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, the_string_that_ends_first_stops_the_text);
    tcase_add_test(t, every_split_point_gives_the_same_result);
    tcase_add_test(t, only_what_could_begin_a_stop_string_is_held);
    tcase_add_test(t, after_a_stop_nothing_comes_out);
    tcase_add_test(t, wrong_strings_are_refused_with_their_place);
    tcase_add_test(t, sixty_four_strings_of_full_size_work);
    tcase_add_test(t, random_strings_agree_with_the_plain_rule);
    tcase_add_test(t, a_failing_allocation_leaves_nothing_behind);
    suite_add_tcase(s, t);
    return s;
}
