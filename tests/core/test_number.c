/* SPDX-License-Identifier: MIT */
/* Numbers to text and back. */
#include "base/number.h"
#include "base/rng.h"

#include <check.h>
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static double read_back(const char *text)
{
    double x = -12345.0;
    if (!bz_number_parse(&x, text, strlen(text)))
        ck_abort_msg("\"%s\" is not read", text);
    return x;
}

static uint64_t bits_of(double x)
{
    uint64_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

START_TEST(known_numbers_have_their_shortest_text)
{
    static const struct {
        double x;
        const char *text;
    } cases[] = {
        {0.0, "0"},
        {-0.0, "-0"},
        {3.0, "3"},
        {-17.5, "-17.5"},
        {0.1, "0.1"},
        {0.1 + 0.2, "0.30000000000000004"},
        {1.0 / 3.0, "0.3333333333333333"},
        {100.0, "100"},
        {123456789.25, "123456789.25"},
        {9007199254740992.0, "9007199254740992"},
        {-9007199254740992.0, "-9007199254740992"},
        {9007199254740994.0, "9.007199254740994e15"},
        {1e21, "1e21"},
        {1e300, "1e300"},
        {1.7976931348623157e308, "1.7976931348623157e308"},
        {2.2250738585072014e-308, "2.2250738585072014e-308"},
        {5e-324, "5e-324"},
        {1e-5, "0.00001"},
        {1.5e-6, "1.5e-6"},
        {0.000123, "0.000123"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[32];
        size_t n = bz_number_format(text, cases[i].x);
        ck_assert_str_eq(text, cases[i].text);
        ck_assert_uint_eq(n, strlen(text));
        ck_assert(bits_of(read_back(text)) == bits_of(cases[i].x));
    }
}
END_TEST

START_TEST(any_double_reads_back_to_the_same_bits)
{
    bz_rng rng;
    bz_rng_seed(&rng, 11);
    for (int i = 0; i < 30000; i++) {
        char text[32];
        uint64_t u = bz_rng_next(&rng);
        double x;
        if (i % 3 == 0)
            u &= UINT64_C(0x800FFFFFFFFFFFFF) | (uint64_t)(i % 7) << 52; /* subnormals and the smallest normals */
        memcpy(&x, &u, sizeof x);
        if (!isfinite(x))
            continue;
        ck_assert_uint_le(bz_number_format(text, x), 31);
        if (bits_of(read_back(text)) != bits_of(x))
            ck_abort_msg("%s reads back differently", text);
    }
}
END_TEST

START_TEST(text_with_few_digits_comes_back_as_it_was)
{
    bz_rng rng;
    bz_rng_seed(&rng, 12);
    for (int i = 0; i < 20000; i++) {
        char in[32];
        char out[32];
        unsigned whole = (unsigned)(bz_rng_next(&rng) % 100000);
        unsigned part = (unsigned)(bz_rng_next(&rng) % 1000000) * 10 + 1;
        snprintf(in, sizeof in, "%u.%07u", whole, part);
        bz_number_format(out, read_back(in));
        ck_assert_str_eq(out, in);
    }
}
END_TEST

START_TEST(infinity_and_nan_have_no_text)
{
    char text[32] = "x";
    ck_assert_uint_eq(bz_number_format(text, (double)INFINITY), 0);
    ck_assert_uint_eq(bz_number_format(text, (double)NAN), 0);
    ck_assert_str_eq(text, "");
}
END_TEST

START_TEST(only_whole_finite_decimal_numbers_are_read)
{
    static const char *const bad[] = {"",     "+",    "-",     ".",    "e5",  "1e",    "1e+",  "1.2.3", "1,5", "0x10",
                                      "inf",  "nan",  "1e309", "-1e309", " 1", "1 ",   "1f",   "--1",   "+-1", "1e5.5",
                                      "Infinity", "1e99999999999999999999", "1_0"};
    double x = 7.0;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (bz_number_parse(&x, bad[i], strlen(bad[i])))
            ck_abort_msg("\"%s\" is read as %g", bad[i], x);
    }
    ck_assert(bits_of(x) == bits_of(7.0));
    ck_assert_int_eq(bz_number_parse(&x, "12", 1), 1);
    ck_assert(bits_of(x) == bits_of(1.0));
    ck_assert(bits_of(read_back("+.5")) == bits_of(0.5));
    ck_assert(bits_of(read_back("5.")) == bits_of(5.0));
    ck_assert(bits_of(read_back("1E+2")) == bits_of(100.0));
    ck_assert(bits_of(read_back("1e-99999999999999999999")) == bits_of(0.0));
    ck_assert(bits_of(read_back("0e99999999999")) == bits_of(0.0));
    ck_assert(bits_of(read_back("-0.000")) == bits_of(-0.0));
}
END_TEST

START_TEST(errno_of_the_host_is_left_alone)
{
    char text[32];
    errno = 12345;
    ck_assert(bits_of(read_back("1e-400")) == bits_of(0.0));
    ck_assert(bits_of(read_back("1e-310")) == bits_of(1e-310));
    bz_number_format(text, 1e-310);
    ck_assert_int_eq(errno, 12345);
}
END_TEST

/* 2^-1 + 2^-54 lies exactly between two doubles: the digits far behind decide. */
START_TEST(thousands_of_digits_are_rounded_once)
{
    char text[3000] = "0.500000000000000055511151231257827021181583404541015625";
    double even = read_back(text);
    size_t n = strlen(text);
    ck_assert(bits_of(even) == bits_of(0.5));
    memset(text + n, '0', sizeof text - n);
    text[sizeof text - 2] = '1';
    text[sizeof text - 1] = '\0';
    ck_assert(bits_of(read_back(text)) == bits_of(nextafter(0.5, 1.0)));
    memset(text, '9', sizeof text - 1);
    text[1] = '.';
    ck_assert(bits_of(read_back(text)) == bits_of(10.0));
    memset(text, '0', sizeof text - 1);
    text[sizeof text - 2] = '7';
    ck_assert(bits_of(read_back(text)) == bits_of(7.0));
}
END_TEST

START_TEST(integers_are_read_up_to_their_last_bit)
{
    int64_t x = 5;
    ck_assert(bz_integer_parse(&x, "9223372036854775807", 19) && x == INT64_MAX);
    ck_assert(bz_integer_parse(&x, "-9223372036854775808", 20) && x == INT64_MIN);
    ck_assert(bz_integer_parse(&x, "+0", 2) && x == 0);
    ck_assert(bz_integer_parse(&x, "-0", 2) && x == 0);
    ck_assert(bz_integer_parse(&x, "-17", 3) && x == -17);
    ck_assert(bz_integer_parse(&x, "0000000000000000000000012", 25) && x == 12);
    ck_assert(!bz_integer_parse(&x, "9223372036854775808", 19));
    ck_assert(!bz_integer_parse(&x, "-9223372036854775809", 20));
    ck_assert(!bz_integer_parse(&x, "99999999999999999999", 20));
    ck_assert(!bz_integer_parse(&x, "", 0));
    ck_assert(!bz_integer_parse(&x, "-", 1));
    ck_assert(!bz_integer_parse(&x, "1.0", 3));
    ck_assert(!bz_integer_parse(&x, "1 ", 2));
    ck_assert_int_eq(x, 12);
}
END_TEST

/* Runs in every locale with a decimal comma that the machine has; in none it tests the C locale once more. */
START_TEST(the_hosts_locale_does_not_count)
{
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "tr_TR.UTF-8", "ps_AF.UTF-8", "C"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char text[32];
        if (setlocale(LC_ALL, names[i]) == NULL)
            continue;
        bz_number_format(text, -1234.5625);
        ck_assert_str_eq(text, "-1234.5625");
        ck_assert(bits_of(read_back("1234.5625e-3")) == bits_of(1.2345625));
    }
    setlocale(LC_ALL, "C");
}
END_TEST

Suite *number_suite(void)
{
    Suite *s = suite_create("number");
    TCase *t = tcase_create("number");
    tcase_add_test(t, known_numbers_have_their_shortest_text);
    tcase_add_test(t, any_double_reads_back_to_the_same_bits);
    tcase_add_test(t, text_with_few_digits_comes_back_as_it_was);
    tcase_add_test(t, infinity_and_nan_have_no_text);
    tcase_add_test(t, only_whole_finite_decimal_numbers_are_read);
    tcase_add_test(t, errno_of_the_host_is_left_alone);
    tcase_add_test(t, thousands_of_digits_are_rounded_once);
    tcase_add_test(t, integers_are_read_up_to_their_last_bit);
    tcase_add_test(t, the_hosts_locale_does_not_count);
    suite_add_tcase(s, t);
    return s;
}
