/* SPDX-License-Identifier: MIT */
/* The HTTP client against a server on the loopback device: limits, redirects, refused addresses, resuming. */
#include <bezel/http.h>

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "support/http_server.h"
#include "support/test_engine.h"

Suite *http_suite(void);

static http_server server;
static bezel_engine *engine;
static bezel_http_options options; /* private addresses allowed */
static bezel_error err;
static bezel_http_response *response;
static char url[1024];

static void http_setup(void)
{
    const bezel_error fresh = BEZEL_ERROR_INIT;
    err = fresh;
    response = NULL;
    ck_assert_int_eq(http_server_start(&server), 1);
    engine = test_engine_new(NULL, 1, BEZEL_ISA_SCALAR);
    bezel_http_options_init(&options);
    options.allow_private = 1;
}

static void http_teardown(void)
{
    bezel_http_response_free(response);
    bezel_engine_free(engine);
    http_server_stop(&server);
}

static bezel_status get(const char *path)
{
    bezel_http_response_free(response);
    snprintf(url, sizeof url, "%s%s", server.url, path);
    return bezel_http_request(&response, engine, url, &options, &err);
}

static const char *body(void)
{
    return bezel_http_response_body(response, NULL);
}

/* --- Answers ------------------------------------------------------------------------------ */

START_TEST(an_answer_has_status_body_headers_and_address)
{
    size_t size = 0;
    ck_assert_msg(get("/hello") == BEZEL_OK, "%s", err.text);
    ck_assert_int_eq(bezel_http_response_status(response), 200);
    ck_assert_str_eq(bezel_http_response_body(response, &size), "hello");
    ck_assert_uint_eq(size, 5);
    ck_assert_str_eq(bezel_http_response_header(response, "x-kind"), "canned");
    ck_assert_str_eq(bezel_http_response_header(response, "CONTENT-TYPE"), "text/plain");
    ck_assert_ptr_null(bezel_http_response_header(response, "x-kin"));
    ck_assert_ptr_null(bezel_http_response_header(response, ""));
    ck_assert_str_eq(bezel_http_response_url(response), url);
}
END_TEST

START_TEST(any_status_is_an_answer)
{
    ck_assert_int_eq(get("/status/503"), BEZEL_OK);
    ck_assert_int_eq(bezel_http_response_status(response), 503);
    ck_assert_str_eq(body(), "this is status 503");
}
END_TEST

START_TEST(a_body_is_posted_with_the_given_headers)
{
    const char *headers[] = {"X-Token: secret", "Content-Type: application/json"};
    options.body = "{\"a\":1}";
    options.body_size = 7;
    options.headers = headers;
    options.n_headers = 2;
    ck_assert_int_eq(get("/echo"), BEZEL_OK);
    ck_assert_int_eq(strncmp(body(), "POST /echo ", 11), 0);
    ck_assert_ptr_nonnull(strstr(body(), "X-Token: secret"));
    ck_assert_ptr_nonnull(strstr(body(), "\r\n\r\n{\"a\":1}"));
    options.method = "PUT";
    ck_assert_int_eq(get("/echo"), BEZEL_OK);
    ck_assert_int_eq(strncmp(body(), "PUT /echo ", 10), 0);
}
END_TEST

START_TEST(a_head_request_has_no_body)
{
    options.method = "HEAD";
    ck_assert_int_eq(get("/hello"), BEZEL_OK);
    ck_assert_str_eq(body(), "");
    ck_assert_str_eq(bezel_http_response_header(response, "Content-Length"), "5");
}
END_TEST

START_TEST(the_proxy_of_the_environment_is_not_used)
{
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
    ck_assert_int_eq(get("/hello"), BEZEL_OK);
    unsetenv("http_proxy");
    unsetenv("ALL_PROXY");
}
END_TEST

/* --- Limits ------------------------------------------------------------------------------- */

START_TEST(a_slow_answer_ends_at_the_time_limit)
{
    struct timespec a, b;
    options.timeout_ms = 200;
    clock_gettime(CLOCK_MONOTONIC, &a);
    ck_assert_int_eq(get("/slow"), BEZEL_ERR_TIMEOUT);
    clock_gettime(CLOCK_MONOTONIC, &b);
    ck_assert_int_lt((b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000, 1500);
    ck_assert_ptr_nonnull(strstr(err.text, "200 ms"));
}
END_TEST

START_TEST(the_time_limit_counts_over_redirects)
{
    options.timeout_ms = 200;
    char path[256];
    snprintf(path, sizeof path, "/redirect/302?%s/slow", server.url);
    ck_assert_int_eq(get(path), BEZEL_ERR_TIMEOUT);
}
END_TEST

START_TEST(a_body_of_the_limit_passes_and_one_byte_more_does_not)
{
    size_t size;
    options.max_size = 20000;
    ck_assert_int_eq(get("/bytes?20000"), BEZEL_OK);
    const char *bytes = bezel_http_response_body(response, &size);
    ck_assert_uint_eq(size, 20000);
    for (size_t i = 0; i < size; i++)
        ck_assert_uint_eq((unsigned char)bytes[i], http_server_byte(i));
    ck_assert_int_eq(get("/bytes?20001"), BEZEL_ERR_LIMIT);
    ck_assert_ptr_null(response);
}
END_TEST

START_TEST(the_size_limit_counts_after_decompression)
{
    size_t size;
    options.max_size = 100000;
    ck_assert_msg(get("/gzip") == BEZEL_OK, "%s", err.text);
    bezel_http_response_body(response, &size);
    ck_assert_uint_eq(size, 100000);
    options.max_size = 99999;
    ck_assert_int_eq(get("/gzip"), BEZEL_ERR_LIMIT);
}
END_TEST

START_TEST(headers_have_a_limit_too)
{
    ck_assert_int_eq(get("/header?100000"), BEZEL_OK);
    ck_assert_int_lt(get("/header?600000"), 0);
}
END_TEST

START_TEST(a_cut_answer_is_a_network_error)
{
    ck_assert_int_eq(get("/cut?1000"), BEZEL_ERR_NETWORK);
}
END_TEST

/* --- Redirects ---------------------------------------------------------------------------- */

START_TEST(redirects_are_followed_up_to_the_limit)
{
    ck_assert_int_eq(get("/redirect/302?/redirect/302?/redirect/302?/hello"), BEZEL_OK);
    ck_assert_str_eq(body(), "hello");
    ck_assert_ptr_nonnull(strstr(bezel_http_response_url(response), "/hello"));
    ck_assert_int_eq(get("/redirect/302?/redirect/302?/redirect/302?/redirect/302?/hello"), BEZEL_ERR_LIMIT);
    ck_assert_int_eq(get("/loop"), BEZEL_ERR_LIMIT);
    options.max_redirects = 0;
    ck_assert_int_eq(get("/redirect/302?/hello"), BEZEL_OK);
    ck_assert_int_eq(bezel_http_response_status(response), 302);
    ck_assert_str_eq(body(), "moved");
}
END_TEST

static const struct {
    const char *to;
    bezel_status status;
} bad_redirects[] = {
    {"file:///etc/passwd", BEZEL_ERR_DENIED},
    {"gopher://127.0.0.1/x", BEZEL_ERR_DENIED},
    {"dict://127.0.0.1/x", BEZEL_ERR_DENIED},
    {"data:text/plain,x", BEZEL_ERR_FORMAT},
    {"http://user@127.0.0.1/", BEZEL_ERR_DENIED},
    {"http://a:b@127.0.0.1/", BEZEL_ERR_DENIED},
};

START_TEST(redirects_to_other_schemes_or_with_a_user_are_refused)
{
    char path[256];
    snprintf(path, sizeof path, "/redirect/302?%s", bad_redirects[_i].to);
    bezel_status st = get(path);
    ck_assert_msg(st == bad_redirects[_i].status, "%s gave %s (%s)", bad_redirects[_i].to, bezel_status_name(st), err.text);
}
END_TEST

START_TEST(a_post_becomes_a_get_where_the_rfc_says_so)
{
    static const struct {
        int code;
        const char *method;
    } rows[] = {{301, "GET"}, {302, "GET"}, {303, "GET"}, {307, "POST"}, {308, "POST"}};
    char path[64], line[16];
    options.body = "data";
    options.body_size = 4;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        snprintf(path, sizeof path, "/redirect/%d?/echo", rows[i].code);
        ck_assert_int_eq(get(path), BEZEL_OK);
        snprintf(line, sizeof line, "%s /echo ", rows[i].method);
        ck_assert_msg(strncmp(body(), line, strlen(line)) == 0, "%d: %.20s", rows[i].code, body());
        ck_assert_int_eq(strstr(body(), "\r\n\r\ndata") != NULL, rows[i].method[0] == 'P');
    }
}
END_TEST

START_TEST(headers_do_not_travel_to_another_origin)
{
    const char *headers[] = {"X-Token: secret"};
    char path[256];
    options.headers = headers;
    options.n_headers = 1;
    ck_assert_int_eq(get("/redirect/302?/echo"), BEZEL_OK);
    ck_assert_ptr_nonnull(strstr(body(), "X-Token"));
    snprintf(path, sizeof path, "/redirect/302?http://localhost:%d/echo", server.port);
    ck_assert_msg(get(path) == BEZEL_OK, "%s", err.text);
    ck_assert_ptr_null(strstr(body(), "X-Token"));
}
END_TEST

/* --- Addresses ---------------------------------------------------------------------------- */

/* %d is the port of the server, which would answer. */
static const char *const private_urls[] = {
    "http://127.0.0.1:%d/hello",        "http://127.1:%d/hello",           "http://2130706433:%d/hello",
    "http://0177.0.0.1:%d/hello",       "http://0x7f.0.0.1:%d/hello",      "http://0x7f000001:%d/hello",
    "http://0.0.0.0:%d/hello",          "http://0:%d/hello",               "http://localhost:%d/hello",
    "http://LOCALHOST:%d/hello",        "http://localhost.:%d/hello",      "http://127.0.0.1.:%d/hello",
    "http://[::1]:%d/hello",            "http://[::ffff:127.0.0.1]:%d/x",  "http://[::ffff:7f00:1]:%d/x",
    "http://[::]:%d/hello",             "http://[64:ff9b::7f00:1]:%d/x",   "http://10.0.0.1:%d/",
    "http://169.254.169.254/?%d",       "http://100.100.100.200/?%d",      "http://192.168.1.1/?%d",
    "http://[fd00:ec2::254]/?%d",       "http://[fe80::1]/?%d",            "http://\xe2\x91\xa0\xe2\x91\xa1\xe2\x91\xa6.0.0.1:%d/",
    "http://%%31%%32%%37.0.0.1:%d/",    "http://224.0.0.1/?%d",            "HTTP://127.0.0.1:%d/hello",
};

START_TEST(private_addresses_are_refused_in_every_spelling)
{
    char text[256];
    options.allow_private = 0;
    options.timeout_ms = 3000;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(text, sizeof text, private_urls[_i], server.port);
#pragma GCC diagnostic pop
    bezel_status st = bezel_http_request(&response, engine, text, &options, &err);
    ck_assert_msg(st == BEZEL_ERR_DENIED || st == BEZEL_ERR_FORMAT, "%s gave %s (%s)", text, bezel_status_name(st), err.text);
    ck_assert_int_eq(atomic_load(&server.n_requests), 0);
}
END_TEST

START_TEST(ports_of_other_services_are_refused)
{
    options.allow_private = 0;
    ck_assert_int_eq(bezel_http_request(&response, engine, "http://8.8.8.8:25/", &options, &err), BEZEL_ERR_DENIED);
    ck_assert_int_eq(bezel_http_request(&response, engine, "http://8.8.8.8:22/", &options, &err), BEZEL_ERR_DENIED);
}
END_TEST

static const struct {
    const char *url;
    bezel_status status;
} bad_urls[] = {
    {"file:///etc/passwd", BEZEL_ERR_DENIED},
    {"ftp://127.0.0.1/", BEZEL_ERR_DENIED},
    {"http://user@127.0.0.1/", BEZEL_ERR_DENIED},
    {"http://user:word@127.0.0.1/", BEZEL_ERR_DENIED},
    {"http://example.org@127.0.0.1/", BEZEL_ERR_DENIED},
    {"", BEZEL_ERR_FORMAT},
    {"127.0.0.1/hello", BEZEL_ERR_FORMAT},
    {"http://", BEZEL_ERR_FORMAT},
    {"http://a b/", BEZEL_ERR_FORMAT},
    {"http://127.0.0.1:99999/", BEZEL_ERR_FORMAT},
    {"http://127.0.0.1/\r\nX: y", BEZEL_ERR_FORMAT},
};

START_TEST(what_is_no_web_address_is_refused_before_anything_is_sent)
{
    bezel_status st = bezel_http_request(&response, engine, bad_urls[_i].url, &options, &err);
    ck_assert_msg(st == bad_urls[_i].status, "'%s' gave %s (%s)", bad_urls[_i].url, bezel_status_name(st), err.text);
    ck_assert_ptr_null(response);
}
END_TEST

START_TEST(headers_and_methods_cannot_smuggle_lines)
{
    const char *headers[] = {"X-A: b\r\nX-Evil: 1"};
    options.headers = headers;
    options.n_headers = 1;
    ck_assert_int_eq(get("/echo"), BEZEL_ERR_FORMAT);
    headers[0] = "no colon";
    ck_assert_int_eq(get("/echo"), BEZEL_ERR_FORMAT);
    headers[0] = ": no name";
    ck_assert_int_eq(get("/echo"), BEZEL_ERR_FORMAT);
    options.n_headers = 0;
    options.method = "GET / HTTP/1.1\r\nX: y";
    ck_assert_int_eq(get("/echo"), BEZEL_ERR_FORMAT);
    ck_assert_int_eq(atomic_load(&server.n_requests), 0);
}
END_TEST

START_TEST(nobody_at_the_port_is_a_network_error)
{
    ck_assert_int_eq(bezel_http_request(&response, engine, "http://127.0.0.1:1/", &options, &err), BEZEL_ERR_NETWORK);
}
END_TEST

START_TEST(wrong_options_are_named)
{
    options.timeout_ms = -1;
    ck_assert_int_eq(get("/hello"), BEZEL_ERR_RANGE);
    options.timeout_ms = 1000;
    options.max_redirects = 101;
    ck_assert_int_eq(get("/hello"), BEZEL_ERR_RANGE);
    ck_assert_int_eq(bezel_http_request(NULL, engine, url, NULL, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_int_eq(bezel_http_request(&response, NULL, url, NULL, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_int_eq(bezel_http_request(&response, engine, NULL, NULL, &err), BEZEL_ERR_ARGUMENT);
}
END_TEST

/* --- Streaming ---------------------------------------------------------------------------- */

typedef struct sink {
    unsigned char bytes[4096];
    size_t size;
    uint64_t total;
    int refuse;
} sink;

static bezel_status sink_add(void *ud, const void *bytes, size_t size, uint64_t total)
{
    sink *s = ud;
    if (s->refuse || s->size + size > sizeof s->bytes)
        return BEZEL_ERR_IO;
    memcpy(s->bytes + s->size, bytes, size);
    s->size += size;
    s->total = total;
    return BEZEL_OK;
}

static void assert_tail(const sink *s, size_t from, size_t to)
{
    ck_assert_uint_eq(s->size, to - from);
    for (size_t i = from; i < to; i++)
        ck_assert_uint_eq(s->bytes[i - from], http_server_byte(i));
}

START_TEST(a_download_goes_on_where_it_was)
{
    sink s = {.size = 0};
    options.on_body = sink_add;
    options.ud = &s;
    ck_assert_int_eq(get("/cut?3000"), BEZEL_ERR_NETWORK);
    assert_tail(&s, 0, 1500);
    ck_assert_uint_eq(s.total, 3000);
    s.size = 0;
    options.resume_from = 1500;
    ck_assert_int_eq(get("/cut?3000"), BEZEL_OK);
    ck_assert_int_eq(bezel_http_response_status(response), 206);
    assert_tail(&s, 1500, 3000);
    ck_assert_uint_eq(s.total, 3000);
}
END_TEST

START_TEST(a_server_that_sends_all_has_the_first_bytes_skipped)
{
    sink s = {.size = 0};
    options.on_body = sink_add;
    options.ud = &s;
    options.resume_from = 1234;
    ck_assert_int_eq(get("/whole?3000"), BEZEL_OK);
    ck_assert_int_eq(bezel_http_response_status(response), 200);
    assert_tail(&s, 1234, 3000);
}
END_TEST

START_TEST(nothing_is_left_of_a_file_that_is_whole)
{
    sink s = {.size = 0};
    options.on_body = sink_add;
    options.ud = &s;
    options.resume_from = 3000;
    ck_assert_int_eq(get("/bytes?3000"), BEZEL_OK);
    ck_assert_int_eq(bezel_http_response_status(response), 416);
    ck_assert_uint_eq(s.size, 0);
}
END_TEST

START_TEST(bodies_of_errors_and_redirects_are_no_download)
{
    sink s = {.size = 0};
    options.on_body = sink_add;
    options.ud = &s;
    ck_assert_int_eq(get("/redirect/302?/status/404"), BEZEL_OK);
    ck_assert_uint_eq(s.size, 0);
    ck_assert_str_eq(body(), "this is status 404");
}
END_TEST

START_TEST(the_body_function_can_end_the_request)
{
    sink s = {.refuse = 1};
    options.on_body = sink_add;
    options.ud = &s;
    ck_assert_int_eq(get("/bytes?3000"), BEZEL_ERR_CALLBACK);
    ck_assert_ptr_null(response);
}
END_TEST

/* --- Memory ------------------------------------------------------------------------------- */

static bezel_status request_once(test_world *tw, void *ctx)
{
    bezel_engine *e = NULL;
    bezel_http_response *r = NULL;
    bezel_status st = test_engine_try(&e, tw, 1, BEZEL_ISA_SCALAR, NULL);
    if (st == BEZEL_OK)
        st = bezel_http_request(&r, e, ctx, &options, NULL);
    bezel_http_response_free(r);
    bezel_engine_free(e);
    return st;
}

START_TEST(each_failing_allocation_is_an_error_without_a_leak)
{
    test_world tw;
    snprintf(url, sizeof url, "%s/redirect/302?/bytes?5000", server.url);
    test_world_init(&tw);
    ck_assert_int_gt(test_world_sweep(&tw, request_once, url, BEZEL_OK), 3);
}
END_TEST

Suite *http_suite(void)
{
    Suite *s = suite_create("http");
    TCase *tc = tcase_create("requests");
    tcase_add_checked_fixture(tc, http_setup, http_teardown);
    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, an_answer_has_status_body_headers_and_address);
    tcase_add_test(tc, any_status_is_an_answer);
    tcase_add_test(tc, a_body_is_posted_with_the_given_headers);
    tcase_add_test(tc, a_head_request_has_no_body);
    tcase_add_test(tc, the_proxy_of_the_environment_is_not_used);
    tcase_add_test(tc, a_slow_answer_ends_at_the_time_limit);
    tcase_add_test(tc, the_time_limit_counts_over_redirects);
    tcase_add_test(tc, a_body_of_the_limit_passes_and_one_byte_more_does_not);
    tcase_add_test(tc, the_size_limit_counts_after_decompression);
    tcase_add_test(tc, headers_have_a_limit_too);
    tcase_add_test(tc, a_cut_answer_is_a_network_error);
    tcase_add_test(tc, redirects_are_followed_up_to_the_limit);
    tcase_add_loop_test(tc, redirects_to_other_schemes_or_with_a_user_are_refused, 0,
                        (int)(sizeof bad_redirects / sizeof *bad_redirects));
    tcase_add_test(tc, a_post_becomes_a_get_where_the_rfc_says_so);
    tcase_add_test(tc, headers_do_not_travel_to_another_origin);
    tcase_add_loop_test(tc, private_addresses_are_refused_in_every_spelling, 0,
                        (int)(sizeof private_urls / sizeof *private_urls));
    tcase_add_test(tc, ports_of_other_services_are_refused);
    tcase_add_loop_test(tc, what_is_no_web_address_is_refused_before_anything_is_sent, 0,
                        (int)(sizeof bad_urls / sizeof *bad_urls));
    tcase_add_test(tc, headers_and_methods_cannot_smuggle_lines);
    tcase_add_test(tc, nobody_at_the_port_is_a_network_error);
    tcase_add_test(tc, wrong_options_are_named);
    tcase_add_test(tc, a_download_goes_on_where_it_was);
    tcase_add_test(tc, a_server_that_sends_all_has_the_first_bytes_skipped);
    tcase_add_test(tc, nothing_is_left_of_a_file_that_is_whole);
    tcase_add_test(tc, bodies_of_errors_and_redirects_are_no_download);
    tcase_add_test(tc, the_body_function_can_end_the_request);
    tcase_add_test(tc, each_failing_allocation_is_an_error_without_a_leak);
    suite_add_tcase(s, tc);
    return s;
}
