/* SPDX-License-Identifier: MIT */
/* Which addresses count as public: one row an edge of each range. */
#include "base/address.h"

#include <arpa/inet.h>
#include <check.h>

Suite *address_suite(void);

typedef struct address_case {
    const char *text;
    int is_public;
} address_case;

static const address_case v4_cases[] = {
    {"0.0.0.0", 0},         {"0.255.255.255", 0},   {"1.0.0.0", 1},         {"9.255.255.255", 1},  {"10.0.0.0", 0},
    {"10.255.255.255", 0},  {"11.0.0.0", 1},        {"100.63.255.255", 1},  {"100.64.0.0", 0},     {"100.100.100.200", 0},
    {"100.127.255.255", 0}, {"100.128.0.0", 1},     {"126.255.255.255", 1}, {"127.0.0.1", 0},      {"127.255.255.255", 0},
    {"128.0.0.0", 1},       {"169.253.255.255", 1}, {"169.254.169.254", 0}, {"169.255.0.0", 1},    {"172.15.255.255", 1},
    {"172.16.0.0", 0},      {"172.31.255.255", 0},  {"172.32.0.0", 1},      {"192.0.0.0", 0},      {"192.0.1.0", 1},
    {"192.0.2.1", 0},       {"192.0.3.0", 1},       {"192.31.196.1", 0},    {"192.52.193.1", 0},   {"192.88.99.1", 0},
    {"192.167.255.255", 1}, {"192.168.0.0", 0},     {"192.168.255.255", 0}, {"192.169.0.0", 1},    {"192.175.48.1", 0},
    {"198.17.255.255", 1},  {"198.18.0.0", 0},      {"198.19.255.255", 0},  {"198.20.0.0", 1},     {"198.51.100.7", 0},
    {"203.0.113.7", 0},     {"203.0.114.0", 1},     {"223.255.255.255", 1}, {"224.0.0.1", 0},      {"239.255.255.255", 0},
    {"240.0.0.1", 0},       {"255.255.255.255", 0}, {"8.8.8.8", 1},         {"93.184.216.34", 1},
};

static const address_case v6_cases[] = {
    {"::", 0},
    {"::1", 0},
    {"::ffff:127.0.0.1", 0},
    {"::ffff:10.1.2.3", 0},
    {"::ffff:8.8.8.8", 1},
    {"::8.8.8.8", 0},
    {"::127.0.0.1", 0},
    {"64:ff9b::7f00:1", 0},
    {"64:ff9b::8.8.8.8", 1},
    {"64:ff9b::192.168.1.1", 0},
    {"64:ff9b:1::8.8.8.8", 0},
    {"100::1", 0},
    {"1fff:ffff::1", 0},
    {"2000::1", 1},
    {"2001::1", 0},
    {"2001:0:4136:e378:8000:63bf:3fff:fdd2", 0},
    {"2001:1ff::1", 0},
    {"2001:200::1", 1},
    {"2001:4860:4860::8888", 1},
    {"2001:db8::1", 0},
    {"2001:db9::1", 1},
    {"2002:7f00:1::1", 0},
    {"2002:a9fe:a9fe::1", 0},
    {"2002:808:808::1", 1},
    {"2606:2800:220:1:248:1893:25c8:1946", 1},
    {"2620:4f:8000::1", 0},
    {"2620:4f:8001::1", 1},
    {"3fff::1", 0},
    {"3fff:0fff::1", 0},
    {"3fff:1000::1", 1},
    {"4000::1", 0},
    {"fc00::1", 0},
    {"fd00:ec2::254", 0},
    {"fe80::1", 0},
    {"fec0::1", 0},
    {"ff02::1", 0},
};

START_TEST(ipv4_ranges_end_where_iana_says)
{
    const address_case *c = &v4_cases[_i];
    uint8_t a[4];
    ck_assert_int_eq(inet_pton(AF_INET, c->text, a), 1);
    ck_assert_msg(bz_address_is_public_v4(a) == c->is_public, "%s: expected %d", c->text, c->is_public);
}
END_TEST

START_TEST(ipv6_forms_that_carry_ipv4_count_as_that)
{
    const address_case *c = &v6_cases[_i];
    uint8_t a[16];
    ck_assert_int_eq(inet_pton(AF_INET6, c->text, a), 1);
    ck_assert_msg(bz_address_is_public_v6(a) == c->is_public, "%s: expected %d", c->text, c->is_public);
}
END_TEST

Suite *address_suite(void)
{
    Suite *s = suite_create("address");
    TCase *tc = tcase_create("ranges");
    tcase_add_loop_test(tc, ipv4_ranges_end_where_iana_says, 0, (int)(sizeof v4_cases / sizeof *v4_cases));
    tcase_add_loop_test(tc, ipv6_forms_that_carry_ipv4_count_as_that, 0, (int)(sizeof v6_cases / sizeof *v6_cases));
    suite_add_tcase(s, tc);
    return s;
}
