/* SPDX-License-Identifier: MIT */
/* The page of a store: what it takes in, what it never replaces, what stays out of its markup. How it looks is tested in a
 * browser (tests/make/report_page.lua). */
#include <bezel/bezel.h>
#include <bezel/store.h>

#include <check.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/store_turn.h"
#include "support/temp_folder.h"
#include "support/test_engine.h"

static temp_folder folder;
static test_world tw;
static bezel_engine *engine;
static bezel_store *store;
static bezel_error err;
static char id[32], page[512];
static size_t page_size;

static void setup(void)
{
    err = (bezel_error)BEZEL_ERROR_INIT;
    temp_folder_make(&folder);
    test_world_init(&tw);
    engine = test_engine_new(&tw, 1, BEZEL_ISA_SCALAR);
    ck_assert_int_eq(bezel_store_open(&store, engine, temp_folder_file(&folder, "r.db"), NULL, &err), BEZEL_OK);
    snprintf(page, sizeof page, "%s", temp_folder_file(&folder, "page.html"));
}

static void teardown(void)
{
    bezel_store_close(store);
    bezel_engine_free(engine);
    temp_folder_remove(&folder);
}

static void keep(const char *title, const char *question, const char *answer)
{
    ck_assert_int_eq(bezel_store_begin(id, store, title, "ann", &err), BEZEL_OK);
    ck_assert_int_eq(store_turn_write(store, id, question, answer, &err), BEZEL_OK);
}

/* The report with these options; the text is the caller's. */
static char *report(uint32_t days, uint32_t conversations)
{
    bezel_store_report_options o;
    bezel_store_report_options_init(&o);
    o.days = days;
    o.conversations = conversations;
    ck_assert_msg(bezel_store_report(store, page, &o, &err) == BEZEL_OK, "%s", err.text);
    char *text = temp_folder_read(page, &page_size);
    ck_assert_ptr_nonnull(text);
    return text;
}

/* Section of the data as JSON text; ends at the next line. */
static const char *section(const char *text, const char *name)
{
    static char out[65536];
    char key[64];
    snprintf(key, sizeof key, "\n\"%s\":", name);
    const char *p = strstr(text, key);
    ck_assert_msg(p != NULL, "no section %s", name);
    p += strlen(key);
    size_t n = strcspn(p, "\n");
    ck_assert_uint_lt(n, sizeof out);
    memcpy(out, p, n);
    out[n] = 0;
    return out;
}

static void has(const char *text, const char *name, const char *part)
{
    const char *s = section(text, name);
    ck_assert_msg(strstr(s, part) != NULL, "%s lacks %s: %.400s", name, part, s);
}

START_TEST(numbers_of_the_store_are_in_the_page)
{
    keep("Trip", "Will it rain?", "Yes.");
    keep(NULL, "And tomorrow?", "No.");
    char *text = report(0, 100);
    has(text, "totals", "\"turns\":2,\"failed\":0");
    has(text, "totals", "\"p50_ms\":2000");
    has(text, "totals", "\"model_calls\":4,\"prompt_tokens\":460,\"cached_tokens\":200,\"generated_tokens\":62");
    has(text, "time", "\"turns\":2");
    has(text, "latency", "{\"ms\":2000,\"n\":2}");
    has(text, "first_token", "{\"ms\":50,\"n\":2},{\"ms\":200,\"n\":2}");
    has(text, "tools", "{\"tool\":\"get_tide\",\"calls\":2,\"failed\":2");
    has(text, "tool_errors", "\"what\":\"get_tide: network\",\"n\":2");
    has(text, "decisions", "\"kind\":\"timeout\",\"outcome\":\"late\",\"name\":\"get_tide\",\"n\":2");
    has(text, "conversations", "\"title\":\"Trip\"");
    has(text, "messages", "Will it rain?");
    has(text, "calls", "{\\\"city\\\":\\\"Tokyo\\\"}");
    free(text);
}
END_TEST

START_TEST(of_rows_that_have_gone_the_totals_by_day_are_in_the_page)
{
    sqlite3 *db;
    keep("Trip", "Will it rain?", "Yes.");
    char *text = report(0, 100);
    has(text, "before", "[]");
    free(text);
    ck_assert_int_eq(sqlite3_open(temp_folder_file(&folder, "r.db"), &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, "DELETE FROM turn; DELETE FROM usage", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    text = report(0, 100);
    has(text, "totals", "\"turns\":0");
    has(text, "before", "{\"at\":1699920000000,\"turns\":1,\"model_calls\":2,\"prompt_tokens\":230,\"generated_tokens\":31,");
    free(text);
    text = report(30, 100); /* another period */
    has(text, "before", "[]");
    free(text);
}
END_TEST

START_TEST(an_empty_store_and_a_read_only_one_have_a_page)
{
    char *text = report(0, 100);
    has(text, "totals", "\"turns\":0");
    free(text);
    bezel_store_close(store);
    bezel_store_options o;
    bezel_store_options_init(&o);
    o.read_only = 1;
    ck_assert_int_eq(bezel_store_open(&store, engine, temp_folder_file(&folder, "r.db"), &o, &err), BEZEL_OK);
    free(report(0, 0));
}
END_TEST

START_TEST(days_and_conversations_limit_what_is_shown)
{
    keep("Old", "Secret question", "Secret answer"); /* of 2023 */
    char *text = report(30, 100);
    has(text, "totals", "\"turns\":0");
    free(text);
    text = report(0, 0);
    has(text, "totals", "\"turns\":1");
    ck_assert_ptr_null(strstr(text, "Secret"));
    ck_assert_ptr_null(strstr(text, "Tokyo"));
    free(text);
    bezel_store_report_options o;
    bezel_store_report_options_init(&o);
    o.conversations = 1001;
    ck_assert_int_eq(bezel_store_report(store, page, &o, &err), BEZEL_ERR_RANGE);
}
END_TEST

START_TEST(texts_cannot_leave_the_data)
{
    keep("</script><script>alert(1)</script>", "<!-- & \xe2\x80\xa8 \xe2\x80\xa9 ]]>", "</SCRIPT >");
    char *text = report(0, 100);
    int scripts = 0;
    for (const char *p = text; (p = strcasestr(p, "</script")) != NULL; p++)
        scripts++;
    ck_assert_int_eq(scripts, 2); /* the page's own */
    const char *data = strstr(text, "<script type=\"application/json\"");
    const char *end = strstr(data, "</script>");
    size_t n = (size_t)(end - data);
    ck_assert_ptr_null(memchr(data + 60, '<', n - 60));
    ck_assert_ptr_null(memchr(data + 60, '&', n - 60));
    ck_assert_ptr_null(strstr(data, "\xe2\x80\xa8"));
    ck_assert_ptr_null(strstr(data, "\xe2\x80\xa9"));
    has(text, "messages", "\\u003c!-- \\u0026 \\u2028 \\u2029 ]]\\u003e");
    ck_assert_ptr_nonnull(strstr(text, "script-src 'sha256-"));
    ck_assert_ptr_null(strstr(text, "{{"));
    free(text);
}
END_TEST

START_TEST(only_a_report_is_replaced)
{
    keep("One", "Q", "A");
    free(report(0, 0));
    keep("Two", "Q", "A");
    char *text = report(0, 0);
    has(text, "totals", "\"turns\":2");
    free(text);
    ck_assert_int_eq(bezel_store_report(store, temp_folder_file(&folder, "r.db"), NULL, &err), BEZEL_ERR_DENIED);
    ck_assert_ptr_nonnull(strstr(err.text, "is no report"));
    ck_assert_int_eq(store_turn_count(store, engine, "SELECT count(*) FROM turn"), 2);
    temp_folder_write(page, "notes", 5);
    ck_assert_int_eq(bezel_store_report(store, page, NULL, &err), BEZEL_ERR_DENIED);
    ck_assert_str_eq(err.place, page);
    text = temp_folder_read(page, &page_size);
    ck_assert_str_eq(text, "notes");
    free(text);
    char nowhere[600];
    snprintf(nowhere, sizeof nowhere, "%s/no/such/page.html", folder.path);
    ck_assert_int_lt(bezel_store_report(store, nowhere, NULL, &err), 0);
    ck_assert_str_eq(err.place, nowhere);
    ck_assert_int_lt(bezel_store_report(store, folder.path, NULL, &err), 0);
    ck_assert_int_eq(temp_folder_count(&folder, ".part"), 0);
    bezel_store_report_options o;
    bezel_store_report_options_init(&o);
    ck_assert_int_eq(bezel_store_report(store, "", &o, &err), BEZEL_ERR_ARGUMENT);
}
END_TEST

START_TEST(a_failing_disk_leaves_the_older_report)
{
    keep("One", "Q", "A");
    char *old = report(0, 100);
    bezel_status st = BEZEL_ERR_FULL;
    for (long n = 1; st != BEZEL_OK; n++) {
        test_world_arm_file(&tw, n, BEZEL_ERR_FULL);
        st = bezel_store_report(store, page, NULL, &err);
        long calls = tw.n_file_calls;
        test_world_arm_file(&tw, 0, BEZEL_OK);
        char *now = temp_folder_read(page, &page_size);
        ck_assert_ptr_nonnull(now);
        if (st != BEZEL_OK && calls >= n)
            ck_assert_str_eq(section(now, "totals"), section(old, "totals"));
        ck_assert_msg(strstr(now, "</html>") != NULL, "call %ld: half a page", n);
        free(now);
        ck_assert_int_eq(temp_folder_count(&folder, ".part"), 0);
        ck_assert_int_lt(n, 100);
    }
    ck_assert_int_eq(store_turn_write(store, id, "Q2", "A2", &err), BEZEL_OK); /* the store is not left in a transaction */
    free(old);
}
END_TEST

static bezel_status report_once(test_world *world, void *ctx)
{
    (void)world, (void)ctx;
    return bezel_store_report(store, page, NULL, &err);
}

START_TEST(a_failing_allocation_is_an_error_and_nothing_leaks)
{
    keep("One", "Q", "A");
    test_world_sweep(&tw, report_once, NULL, BEZEL_OK);
}
END_TEST

Suite *store_report_suite(void)
{
    Suite *s = suite_create("store_report");
    TCase *t = tcase_create("report");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, numbers_of_the_store_are_in_the_page);
    tcase_add_test(t, of_rows_that_have_gone_the_totals_by_day_are_in_the_page);
    tcase_add_test(t, an_empty_store_and_a_read_only_one_have_a_page);
    tcase_add_test(t, days_and_conversations_limit_what_is_shown);
    tcase_add_test(t, texts_cannot_leave_the_data);
    tcase_add_test(t, only_a_report_is_replaced);
    tcase_add_test(t, a_failing_disk_leaves_the_older_report);
    tcase_add_test(t, a_failing_allocation_is_an_error_and_nothing_leaks);
    suite_add_tcase(s, t);
    return s;
}
