/* SPDX-License-Identifier: MIT */
/* The MCP client against a fake server (tests/support/mcp_server.lua) of either protocol that misbehaves in every way that is
 * written there. The real server is in tests/lua/mcp.lua. */
#include <bezel/mcp.h>

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "support/child.h"
#include "support/temp_folder.h"
#include "support/test_engine.h"

Suite *mcp_suite(void);

static test_world tw;
static bezel_engine *engine;
static bezel_mcp_options options;
static bezel_mcp *server;
static bezel_tree *tree;
static bezel_error err;
static const char *command[8];
static char log_text[65536];

static void take_log(void *ud, uint32_t level, const char *origin, const char *text)
{
    size_t n = strlen(log_text);
    (void)ud;
    snprintf(log_text + n, sizeof log_text - n, "%u %s %s\n", level, origin, text);
}

static void setup(void)
{
    const bezel_error fresh = BEZEL_ERROR_INIT;
    bezel_engine_options o;
    err = fresh;
    test_world_init(&tw);
    bezel_engine_options_init(&o);
    o.world = &tw.world;
    o.threads = 1;
    o.isa = BEZEL_ISA_SCALAR;
    o.log = take_log;
    o.log_level = BEZEL_LOG_DEBUG;
    log_text[0] = '\0';
    ck_assert_int_eq(bezel_engine_new(&engine, &o, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_tree_new(&tree, engine, NULL), BEZEL_OK);
    bezel_mcp_options_init(&options);
    options.command = command;
    server = NULL;
}

static void teardown(void)
{
    bezel_mcp_free(server);
    bezel_tree_free(tree);
    bezel_engine_free(engine);
    ck_assert(test_world_is_clean(&tw));
    ck_assert_int_eq(child_none_left(), 1);
}

/* Starts the fake server with at most three words. */
static bezel_status start(const char *a, const char *b, const char *c)
{
    const char *const words[] = {"lua5.4", "tests/support/mcp_server.lua", a, b, c, NULL};
    memcpy(command, words, sizeof words);
    return bezel_mcp_start(&server, engine, &options, &err);
}

static void start_well(const char *a, const char *b)
{
    bezel_status st = start(a, b, NULL);
    ck_assert_msg(st == BEZEL_OK, "%s (%s)", err.text, err.hint);
}

static bezel_value *with_text(const char *text)
{
    bezel_value *map = bezel_tree_map(tree);
    bezel_value_set(tree, map, "text", bezel_tree_text(tree, text, SIZE_MAX));
    return map;
}

static bezel_status call(bezel_value **out, const char *name, const char *text)
{
    return bezel_mcp_call(out, tree, server, name, text ? with_text(text) : NULL, &err);
}

/* The answer as JSON, or the name of the failure with its text. */
static const char *answer(const char *name, const char *text)
{
    static char out[4096];
    bezel_value *value = NULL;
    char *json = NULL;
    bezel_status st = call(&value, name, text);
    if (st == BEZEL_OK && bezel_json_write(&json, NULL, engine, value, 0, NULL) == BEZEL_OK)
        snprintf(out, sizeof out, "%s", json);
    else
        snprintf(out, sizeof out, "%s: %s", bezel_status_name(st), err.text);
    bezel_text_free(engine, json);
    return out;
}

static const char *info(const char *key)
{
    return bezel_value_text(bezel_value_get(bezel_mcp_info(server), key), NULL);
}

static int64_t info_number(const char *key)
{
    return bezel_value_integer(bezel_value_get(bezel_mcp_info(server), key));
}

static int has_warning(const char *part)
{
    const char *text;
    for (size_t i = 0; (text = bezel_mcp_warning(server, i)) != NULL; i++)
        if (strstr(text, part))
            return 1;
    return 0;
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* --- Both protocols ----------------------------------------------------------------------- */

START_TEST(an_old_server_is_greeted_with_the_handshake)
{
    start_well(NULL, NULL);
    ck_assert_str_eq(info("protocol"), "2025-11-25");
    ck_assert_str_eq(info("name"), "fake");
    ck_assert_str_eq(info("version"), "1");
    ck_assert_int_eq(info_number("starts"), 1);
    ck_assert_str_eq(answer("echo", "hi"), "\"hi\"");
    ck_assert_ptr_null(bezel_mcp_warning(server, 0));
    ck_assert_int_ge(bezel_mcp_fd(server), 3);
}
END_TEST

START_TEST(a_new_server_needs_no_handshake)
{
    start_well("modern", NULL);
    ck_assert_str_eq(info("protocol"), "2026-07-28");
    ck_assert_str_eq(info("version"), "2");
    ck_assert_str_eq(answer("echo", "hi"), "\"hi\"");
    ck_assert_str_eq(answer("change", NULL), "\"changed\"");
    ck_assert_int_eq(bezel_mcp_changed(server), 1);
    ck_assert_ptr_null(bezel_mcp_warning(server, 0));
}
END_TEST

START_TEST(each_known_version_of_the_handshake_is_spoken)
{
    static const char *const versions[] = {"2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"};
    char word[64];
    for (size_t i = 0; i < 4; i++) {
        snprintf(word, sizeof word, "version=%s", versions[i]);
        start_well(word, NULL); /* the server's own choice */
        ck_assert_str_eq(info("protocol"), versions[i]);
        ck_assert_str_eq(answer("echo", "hi"), "\"hi\"");
        bezel_mcp_free(server);
        options.protocol = versions[i]; /* ours */
        start_well(NULL, NULL);
        ck_assert_str_eq(info("protocol"), versions[i]);
        options.protocol = NULL;
        bezel_mcp_free(server);
        server = NULL;
    }
}
END_TEST

START_TEST(a_version_that_nobody_knows_is_refused)
{
    ck_assert_int_eq(start("version=1999-01-01", NULL, NULL), BEZEL_ERR_VERSION);
    ck_assert_ptr_null(server);
    ck_assert_str_eq(err.text, "lua5.4 speaks version '1999-01-01' of the protocol");
    ck_assert_int_eq(start("modern", "future=2031-01-01", NULL), BEZEL_ERR_VERSION);
    ck_assert_ptr_nonnull(strstr(err.text, "2031-01-01"));
    options.protocol = "2031-01-01";
    ck_assert_int_eq(start(NULL, NULL, NULL), BEZEL_ERR_VERSION);
    options.protocol = "2026-07-28"; /* asked for, but the server is old */
    ck_assert_int_eq(start(NULL, NULL, NULL), BEZEL_ERR_CALLBACK);
}
END_TEST

START_TEST(a_new_server_that_names_an_old_version_is_greeted_with_it)
{
    start_well("modern", "future=2025-06-18");
    ck_assert_str_eq(info("protocol"), "2025-06-18");
}
END_TEST

START_TEST(silence_an_end_and_slowness_are_told_apart)
{
    start_well("silent", NULL);
    ck_assert_str_eq(info("protocol"), "2025-11-25");
    bezel_mcp_free(server);
    start_well("dies", NULL);
    ck_assert_str_eq(info("protocol"), "2025-11-25");
    ck_assert_int_eq(info_number("starts"), 2);
    bezel_mcp_free(server);
    start_well("modern", "slow");
    ck_assert_str_eq(info("protocol"), "2026-07-28");
    ck_assert_str_eq(answer("echo", "hi"), "\"hi\"");
}
END_TEST

/* --- Answers ------------------------------------------------------------------------------ */

START_TEST(content_becomes_a_value)
{
    start_well(NULL, NULL);
    ck_assert_str_eq(answer("image", NULL),
                     "\"here\\n[image, image/png, 4 bytes, not shown]\\n[resource a: file:///a]\\nbee\\n[resource file:///c, "
                     "unknown type, 2 bytes, not shown]\\n[content of the type 'hologram', not shown]\"");
    ck_assert_str_eq(answer("structured", NULL), "{\"a\":1,\"b\":[true]}");
    ck_assert_str_eq(answer("wrapped", NULL), "5");
    ck_assert_str_eq(answer("empty", NULL), "null");
    ck_assert_str_eq(answer("args", NULL), "\"{}\"");
    ck_assert_str_eq(answer("batch", NULL), "\"of a batch\"");
    ck_assert_str_eq(answer("numbers", NULL), "{\"id\":\"9007199254740993\",\"n\":\"-18446744073709551616\",\"m\":3}");
}
END_TEST

START_TEST(failures_keep_their_words)
{
    start_well(NULL, NULL);
    ck_assert_str_eq(answer("fails", NULL), "callback: no such city at all");
    ck_assert_str_eq(answer("fails_mutely", NULL), "callback: lua5.4 says that the tool failed, and not why");
    ck_assert_str_eq(answer("refused", NULL), "callback: lua5.4 answered with error -32602: Unknown tool: refused");
    ck_assert_str_eq(answer("no_such_tool", NULL), "callback: lua5.4 answered with error -32602: Unknown tool: no_such_tool");
    ck_assert_str_eq(answer("no_result", NULL), "format: lua5.4 sent an answer without a result");
    ck_assert_ptr_nonnull(strstr(answer("unreadable", NULL), "format: lua5.4 sent an answer that cannot be read: "));
    ck_assert_ptr_nonnull(strstr(answer("input", NULL), "unsupported: lua5.4 wants to ask the user back"));
    ck_assert_str_eq(answer("echo", "still here"), "\"still here\"");
    ck_assert_int_eq(info_number("starts"), 1);
}
END_TEST

START_TEST(noise_is_stepped_over_and_named)
{
    start_well("noisy", NULL);
    for (int i = 0; i < 20; i++)
        ck_assert_str_eq(answer("echo", "hi"), "\"hi\"");
    ck_assert(has_warning("wrote a line that is no message: Starting up, please wait..."));
    ck_assert(has_warning("answered what was not asked"));
    ck_assert(has_warning("what?"));
    bezel_mcp_free(server);
    start_well("noisy", "modern");
    ck_assert_str_eq(answer("echo", "hi"), "\"hi\"");
    ck_assert(has_warning("asked for ping, which its version of the protocol does not allow"));
}
END_TEST

START_TEST(questions_of_a_server_are_answered_or_refused)
{
    start_well(NULL, NULL);
    ck_assert_str_eq(answer("ask", NULL), "\"s1=ok 2-32601 3-32601\"");
}
END_TEST

START_TEST(large_messages_go_both_ways)
{
    size_t size = 3u << 20;
    bezel_value *value = NULL;
    char *text = malloc(size + 1);
    memset(text, 'x', size);
    text[size] = '\0';
    start_well(NULL, NULL);
    ck_assert_int_eq(call(&value, "echo", text), BEZEL_OK);
    ck_assert_str_eq(bezel_value_text(value, NULL), text);
    free(text);
}
END_TEST

START_TEST(a_message_that_is_too_large_costs_one_call)
{
    options.max_message = 1u << 20;
    start_well(NULL, NULL);
    ck_assert_str_eq(answer("huge", "400"), "limit: lua5.4 sent a message of more than 1048576 bytes"); /* 25 MiB on one line */
    ck_assert_str_eq(answer("echo", "hi"), "\"hi\"");
    ck_assert_int_eq(info_number("starts"), 1);
    ck_assert_int_lt(tw.peak_bytes, 8 << 20);
}
END_TEST

/* --- Time --------------------------------------------------------------------------------- */

START_TEST(a_call_that_is_late_is_cancelled_and_its_answer_ignored)
{
    options.timeout_ms = 300;
    start_well(NULL, NULL);
    int64_t began = now_ms();
    ck_assert_str_eq(answer("hang", NULL), "timeout: lua5.4 did not answer within 300 ms");
    ck_assert_int_lt(now_ms() - began, 1500);
    ck_assert_str_eq(answer("late", NULL), "\"in time\"");
    const char *ids = answer("cancelled", NULL);
    ck_assert_msg(strlen(ids) >= 3 && strchr(ids, ' ') == NULL, "%s", ids);
    ck_assert_ptr_null(bezel_mcp_warning(server, 0));
}
END_TEST

START_TEST(a_flood_does_not_hold_a_call_beyond_its_time)
{
    options.timeout_ms = 300;
    start_well(NULL, NULL);
    int64_t began = now_ms();
    ck_assert_ptr_nonnull(strstr(answer("flood", NULL), "timeout: "));
    ck_assert_int_lt(now_ms() - began, 5000);
}
END_TEST

START_TEST(a_server_that_never_speaks_is_given_up)
{
    static const char *const mute[] = {"sleep", "300", NULL};
    options.start_timeout_ms = 2500;
    memcpy(command, mute, sizeof mute);
    int64_t began = now_ms();
    ck_assert_int_eq(bezel_mcp_start(&server, engine, &options, &err), BEZEL_ERR_TIMEOUT);
    ck_assert_int_lt(now_ms() - began, 6000);
    ck_assert_ptr_null(server);
}
END_TEST

/* --- Ends --------------------------------------------------------------------------------- */

START_TEST(a_server_that_dies_fails_the_call_and_is_started_again)
{
    start_well(NULL, NULL);
    ck_assert_str_eq(answer("count", NULL), "\"1\"");
    ck_assert_str_eq(answer("die", NULL), "io: the server lua5.4 ended with status 3");
    ck_assert_str_eq(err.hint, "it said: the very last words");
    ck_assert_str_eq(bezel_mcp_stderr(server), "something broke\nthe very last words\n");
    ck_assert_int_eq(bezel_mcp_fd(server), -1);
    ck_assert_int_eq(bezel_mcp_poll(server, &err), BEZEL_ERR_IO);
    ck_assert_str_eq(answer("count", NULL), "\"1\"");
    ck_assert_int_eq(info_number("starts"), 2);
    ck_assert_str_eq(info("protocol"), "2025-11-25");
}
END_TEST

START_TEST(starting_again_has_an_end)
{
    options.max_restarts = 2;
    start_well("modern", NULL);
    for (int i = 0; i < 3; i++)
        ck_assert_str_eq(answer("die", NULL), "io: the server lua5.4 ended with status 3");
    ck_assert_ptr_nonnull(strstr(answer("echo", "hi"), "io: the server lua5.4 ended again and again"));
    ck_assert_ptr_nonnull(strstr(answer("echo", "hi"), "io: the server lua5.4 ended again and again"));
    ck_assert_int_eq(info_number("starts"), 3);
}
END_TEST

START_TEST(an_answered_call_makes_the_restarts_count_anew)
{
    options.max_restarts = 1;
    start_well(NULL, NULL);
    for (int i = 0; i < 3; i++) {
        ck_assert_str_eq(answer("die", NULL), "io: the server lua5.4 ended with status 3");
        ck_assert_str_eq(answer("echo", "hi"), "\"hi\"");
    }
}
END_TEST

START_TEST(one_that_ends_at_its_start_says_why)
{
    static const char *const broken[] = {"sh", "-c", "echo 'no module named mcp' >&2; exit 9", NULL};
    memcpy(command, broken, sizeof broken);
    ck_assert_int_eq(bezel_mcp_start(&server, engine, &options, &err), BEZEL_ERR_IO);
    ck_assert_str_eq(err.text, "the server sh ended with status 9");
    ck_assert_str_eq(err.hint, "it said: no module named mcp");
    command[0] = "no-such-program-here";
    ck_assert_int_eq(bezel_mcp_start(&server, engine, &options, &err), BEZEL_ERR_MISSING);
    ck_assert_ptr_null(server);
}
END_TEST

START_TEST(one_that_reads_no_more_fails_the_call)
{
    static const char script[] = "exec 3<&0; { sed -u 5q <&3 3<&-; exec 3<&-; sleep 20; } </dev/null |"
                                 " lua5.4 tests/support/mcp_server.lua 3<&- & exec 3<&- 0<&-; wait";
    const char *const words[] = {"sh", "-c", script, NULL};
    memcpy(command, words, sizeof words);
    options.timeout_ms = 4000;
    ck_assert_int_eq(bezel_mcp_start(&server, engine, &options, &err), BEZEL_OK);
    ck_assert_str_eq(answer("echo", "hi"), "\"hi\""); /* the fifth line */
    int64_t began = now_ms();
    const char *second = answer("echo", "hi"); /* seen before the call, or in it */
    ck_assert_msg(!strcmp(second, "\"hi\"") || !strcmp(second, "io: the server sh was ended by signal 9"), "%s", second);
    ck_assert_int_lt(now_ms() - began, 3000);
    ck_assert_str_eq(answer("echo", "hi"), "\"hi\"");
    ck_assert_int_eq(info_number("starts"), 2);
}
END_TEST

START_TEST(closing_ends_the_server_and_its_children)
{
    bezel_value *value = NULL;
    long pid;
    start_well("stays", NULL);
    ck_assert_int_eq(call(&value, "child", NULL), BEZEL_OK);
    pid = atol(bezel_value_text(value, NULL));
    ck_assert_int_eq(kill((pid_t)pid, 0), 0);
    ck_assert_str_eq(answer("stubborn", NULL), "\"staying\"");
    int64_t began = now_ms();
    bezel_mcp_free(server);
    server = NULL;
    ck_assert_int_lt(now_ms() - began, 4000);
    ck_assert_int_eq(child_is_gone(pid), 1);
}
END_TEST

START_TEST(standard_error_goes_to_the_log)
{
    start_well("talks", NULL);
    ck_assert_ptr_nonnull(strstr(log_text, "4 mcp lua5.4: hello from the server\n"));
    ck_assert_str_eq(bezel_mcp_stderr(server), "hello from the server\n\\x1b[31mred\n");
    ck_assert_str_eq(answer("words", NULL), "\"said\""); /* more than a pipe holds */
    ck_assert_uint_le(strlen(bezel_mcp_stderr(server)), 4096);
    bezel_mcp_poll(server, NULL);
    ck_assert_ptr_nonnull(strstr(bezel_mcp_stderr(server), "\nword 3000 of many, and more of them\n"));
}
END_TEST

/* --- Options ------------------------------------------------------------------------------ */

START_TEST(a_server_gets_what_it_is_given_and_no_more)
{
    static const char *const environment[] = {"BEZEL_TEST_KEY=k1", "TERM=dumb", NULL};
    temp_folder folder;
    char script[600];
    temp_folder_make(&folder);
    ck_assert_ptr_nonnull(getcwd(script, 500));
    strcat(script, "/tests/support/mcp_server.lua");
    const char *const words[] = {"lua5.4", script, NULL};
    memcpy(command, words, sizeof words);
    setenv("BEZEL_TEST_SECRET", "s", 1);
    options.environment = environment;
    options.folder = folder.path;
    ck_assert_int_eq(bezel_mcp_start(&server, engine, &options, &err), BEZEL_OK);
    ck_assert_str_eq(answer("env", "BEZEL_TEST_KEY"), "\"k1\"");
    ck_assert_str_eq(answer("env", "TERM"), "\"dumb\"");
    ck_assert_str_eq(answer("env", "BEZEL_TEST_SECRET"), "\"unset\"");
    ck_assert_str_ne(answer("env", "PATH"), "\"unset\"");
    bezel_value *value = NULL;
    ck_assert_int_eq(call(&value, "folder", NULL), BEZEL_OK);
    ck_assert_ptr_nonnull(strstr(bezel_value_text(value, NULL), strrchr(folder.path, '/')));
    unsetenv("BEZEL_TEST_SECRET");
    temp_folder_remove(&folder);
}
END_TEST

static void refuse(bezel_status expected, const char *place)
{
    bezel_mcp *out = (bezel_mcp *)(uintptr_t)1;
    ck_assert_int_eq(bezel_mcp_start(&out, engine, &options, &err), expected);
    ck_assert_ptr_null(out);
    ck_assert_str_eq(err.place, place);
    bezel_mcp_options_init(&options);
    options.command = command;
}

START_TEST(bad_options_are_refused)
{
    static const char *const no_value[] = {"KEY", NULL}, *const empty[] = {NULL};
    command[0] = "true";
    command[1] = NULL;
    options.command = NULL, refuse(BEZEL_ERR_ARGUMENT, "command");
    options.command = empty, refuse(BEZEL_ERR_ARGUMENT, "command");
    options.permission = 5, refuse(BEZEL_ERR_RANGE, "permission");
    options.timeout_ms = 0, refuse(BEZEL_ERR_RANGE, "timeout_ms");
    options.start_timeout_ms = INT64_MAX, refuse(BEZEL_ERR_RANGE, "start_timeout_ms");
    options.max_restarts = 101, refuse(BEZEL_ERR_RANGE, "max_restarts");
    options.max_message = 5, refuse(BEZEL_ERR_RANGE, "max_message");
    options.name = "two words", refuse(BEZEL_ERR_RANGE, "name");
    options.name = "", refuse(BEZEL_ERR_RANGE, "name");
    options.environment = no_value, refuse(BEZEL_ERR_FORMAT, "environment");
    options.protocol = "1", refuse(BEZEL_ERR_VERSION, "protocol");
    ck_assert_int_eq(bezel_mcp_start(&server, engine, NULL, &err), BEZEL_ERR_ARGUMENT);
    bezel_mcp_free(NULL);
}
END_TEST

/* --- Tools in a set ----------------------------------------------------------------------- */

static bezel_toolset *new_set(void)
{
    bezel_toolset *tools = NULL;
    ck_assert_int_eq(bezel_toolset_new(&tools, engine, NULL), BEZEL_OK);
    return tools;
}

/* Runs a call through the set to its end; its status, the result (valid until the next call) in *out. */
static bezel_status run(const bezel_value **out, bezel_toolset *tools, const char *name, const bezel_value *arguments)
{
    static bezel_value *kept;
    bezel_dispatch *d = NULL;
    bezel_status st = bezel_dispatch_start(&d, tools, name, arguments, &err);
    while (st == BEZEL_OK && (st = bezel_dispatch_poll(d, &err)) == BEZEL_TOOL_PENDING)
        st = BEZEL_OK;
    kept = bezel_tree_copy(tree, bezel_dispatch_result(d));
    *out = kept;
    bezel_dispatch_free(d);
    return st;
}

START_TEST(tools_are_called_like_any_other)
{
    static const char *const only[] = {"echo", "fails", NULL};
    bezel_toolset *tools = new_set();
    const bezel_value *value;
    size_t n = 0;
    options.name = "fake";
    options.only = only;
    start_well(NULL, NULL);
    ck_assert_int_eq(bezel_mcp_add_tools(&n, server, tools, &err), BEZEL_OK);
    ck_assert_uint_eq(n, 2);
    ck_assert_str_eq(bezel_toolset_name(tools, 0), "fake__echo");
    ck_assert_int_eq(bezel_toolset_permission(tools, 0), BEZEL_TOOL_NETWORK);
    ck_assert_int_eq(run(&value, tools, "fake__echo", with_text("hi")), BEZEL_OK);
    ck_assert_str_eq(bezel_value_text(value, NULL), "hi");
    ck_assert_int_eq(run(&value, tools, "fake__fails", NULL), BEZEL_ERR_CALLBACK);
    ck_assert_str_eq(err.text, "no such city at all");
    bezel_value *wrong = bezel_tree_map(tree);
    bezel_value_set(tree, wrong, "text", bezel_tree_integer(tree, 5));
    ck_assert_int_eq(run(&value, tools, "fake__echo", wrong), BEZEL_ERR_PARSE);
    ck_assert_int_eq(bezel_mcp_add_tools(&n, server, tools, &err), BEZEL_OK);
    ck_assert_uint_eq(n, 0);
    bezel_mcp_free(server); /* before the set: calls fail, nothing else */
    server = NULL;
    ck_assert_int_eq(run(&value, tools, "fake__echo", NULL), BEZEL_ERR_IO);
    ck_assert_str_eq(err.text, "the server lua5.4 was closed");
    bezel_toolset_free(tools);
}
END_TEST

START_TEST(a_late_tool_is_late_and_cancelled)
{
    bezel_toolset *tools = new_set();
    const bezel_value *value;
    options.timeout_ms = 200;
    start_well(NULL, NULL);
    ck_assert_int_eq(bezel_mcp_add_tools(NULL, server, tools, &err), BEZEL_OK);
    ck_assert_int_eq(run(&value, tools, "hang", NULL), BEZEL_ERR_TIMEOUT);
    ck_assert_str_ne(answer("cancelled", NULL), "\"\"");
    bezel_toolset_free(tools);
}
END_TEST

/* Begins a call and looks at it once. */
static bezel_dispatch *begin(bezel_toolset *tools, const char *name)
{
    bezel_dispatch *d = NULL;
    ck_assert_int_eq(bezel_dispatch_start(&d, tools, name, NULL, &err), BEZEL_OK);
    return d;
}

START_TEST(calls_of_two_servers_overlap)
{
    bezel_toolset *tools = new_set();
    bezel_mcp *first;
    int ready = 0;
    options.name = "a";
    start_well(NULL, NULL);
    ck_assert_int_eq(bezel_mcp_add_tools(NULL, server, tools, &err), BEZEL_OK);
    first = server;
    options.name = "b";
    start_well("modern", NULL);
    ck_assert_int_eq(bezel_mcp_add_tools(NULL, server, tools, &err), BEZEL_OK);
    bezel_dispatch *calls[] = {begin(tools, "a__hang"), begin(tools, "a__count"), begin(tools, "b__count")};
    for (int i = 0; i < 2000 && ready != 6; i++) {
        for (int k = 1; k < 3; k++)
            ready |= bezel_dispatch_poll(calls[k], &err) == BEZEL_OK ? 1 << k : 0;
        usleep(1000);
    }
    ck_assert_int_eq(ready, 6);
    ck_assert_int_eq(bezel_dispatch_poll(calls[0], &err), BEZEL_TOOL_PENDING);
    int64_t wait = bezel_dispatch_wait_us(calls[0]);
    ck_assert_msg(wait > 0 && wait <= 20000, "%lld", (long long)wait);
    bezel_dispatch_free(calls[0]); /* tells the server */
    bezel_mcp *second = server;
    server = first;
    ck_assert_str_ne(answer("cancelled", NULL), "\"\"");
    server = second;
    bezel_dispatch_free(calls[1]);
    bezel_dispatch_free(calls[2]);
    bezel_mcp_free(first);
    bezel_toolset_free(tools);
}
END_TEST

START_TEST(a_pending_call_outlives_set_and_server)
{
    bezel_toolset *tools = new_set();
    start_well(NULL, NULL);
    ck_assert_int_eq(bezel_mcp_add_tools(NULL, server, tools, &err), BEZEL_OK);
    bezel_dispatch *kept = begin(tools, "hang"), *dropped = begin(tools, "hang");
    bezel_toolset_free(tools);
    bezel_mcp_free(server);
    server = NULL;
    bezel_status st;
    while ((st = bezel_dispatch_poll(kept, &err)) == BEZEL_TOOL_PENDING) /* until its next look */
        usleep(1000);
    ck_assert_int_eq(st, BEZEL_ERR_IO);
    ck_assert_str_eq(err.text, "the server lua5.4 was closed");
    bezel_dispatch_free(kept);
    bezel_dispatch_free(dropped);
}
END_TEST

START_TEST(one_death_fails_all_its_calls)
{
    bezel_toolset *tools = new_set();
    start_well(NULL, NULL);
    ck_assert_int_eq(bezel_mcp_add_tools(NULL, server, tools, &err), BEZEL_OK);
    bezel_dispatch *calls[] = {begin(tools, "hang"), begin(tools, "die")};
    for (int i = 0; i < 2; i++) {
        bezel_status st;
        while ((st = bezel_dispatch_poll(calls[i], &err)) == BEZEL_TOOL_PENDING)
            usleep(1000);
        ck_assert_int_eq(st, BEZEL_ERR_IO);
        ck_assert_str_eq(err.text, "the server lua5.4 ended with status 3");
        bezel_dispatch_free(calls[i]);
    }
    bezel_toolset_free(tools);
}
END_TEST

START_TEST(five_hundred_tools_come_in_pages)
{
    bezel_toolset *tools = new_set();
    const bezel_value *list;
    start_well("many", "noisy");
    list = bezel_mcp_tools(server);
    ck_assert_uint_eq(bezel_value_count(list), 500);
    ck_assert_str_eq(bezel_value_text(bezel_value_get(bezel_value_at(list, 499), "name"), NULL), "tool_500");
    ck_assert_int_eq(bezel_mcp_add_tools(NULL, server, tools, &err), BEZEL_OK);
    ck_assert_uint_eq(bezel_toolset_count(tools), 500);
    bezel_toolset_free(tools);
}
END_TEST

START_TEST(a_list_without_end_is_refused)
{
    ck_assert_int_eq(start("endless", NULL, NULL), BEZEL_ERR_LIMIT);
    ck_assert_str_eq(err.text, "lua5.4 has more than 1024 tools");
    ck_assert_int_eq(start("loop", NULL, NULL), BEZEL_ERR_LIMIT);
    ck_assert_str_eq(err.text, "the list of tools of lua5.4 does not end");
    start_well("none", NULL);
    ck_assert_uint_eq(bezel_value_count(bezel_mcp_tools(server)), 0);
    ck_assert(has_warning("offers no tools"));
}
END_TEST

START_TEST(odd_tools_do_not_cost_the_others)
{
    bezel_toolset *tools = new_set();
    options.trust_hints = 1;
    start_well("odd", NULL);
    ck_assert_int_eq(bezel_mcp_add_tools(NULL, server, tools, &err), BEZEL_OK);
    ck_assert_uint_eq(bezel_toolset_count(tools), 4);
    ck_assert_str_eq(bezel_toolset_name(tools, 0), "good");
    ck_assert_str_eq(bezel_toolset_name(tools, 1), "two_words_1");
    ck_assert_str_eq(bezel_toolset_name(tools, 2), "two_words.1");
    ck_assert_uint_eq(strlen(bezel_toolset_name(tools, 3)), 64);
    ck_assert_int_eq(bezel_toolset_permission(tools, 0), BEZEL_TOOL_READ);
    ck_assert_int_eq(bezel_toolset_permission(tools, 1), BEZEL_TOOL_WRITE);
    ck_assert_int_eq(bezel_toolset_permission(tools, 2), BEZEL_TOOL_NETWORK);
    ck_assert(has_warning("far was left out: "));
    ck_assert(has_warning("no_object was left out: "));
    ck_assert(has_warning("two words/1 is listed twice"));
    ck_assert(has_warning("two_words_1 was left out: another tool is called two_words_1 here already"));
    ck_assert(has_warning("without a usable name"));
    ck_assert_ptr_nonnull(strstr(bezel_toolset_warning(tools, 0), "contentEncoding"));
    bezel_toolset_free(tools);
}
END_TEST

START_TEST(news_of_the_list_bring_its_new_tools)
{
    bezel_toolset *tools = new_set();
    const bezel_value *value;
    size_t n = 0;
    start_well("modern", NULL);
    ck_assert_int_eq(bezel_mcp_add_tools(&n, server, tools, &err), BEZEL_OK);
    size_t before = n;
    ck_assert_int_eq(run(&value, tools, "change", NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_mcp_changed(server), 1);
    ck_assert_int_eq(bezel_mcp_add_tools(&n, server, tools, &err), BEZEL_OK);
    ck_assert_uint_eq(n, 1);
    ck_assert_str_eq(bezel_toolset_name(tools, before), "grown");
    ck_assert_int_eq(bezel_mcp_changed(server), 0);
    bezel_toolset_free(tools);
}
END_TEST

START_TEST(a_name_that_is_taken_and_one_that_is_missing_are_named)
{
    static const char *const only[] = {"echo", "ecko", NULL};
    bezel_toolset *tools = new_set();
    bezel_tool tool = BEZEL_TOOL_INIT;
    tool.name = "echo";
    ck_assert_int_eq(bezel_toolset_add(tools, &tool, &err), BEZEL_OK);
    start_well(NULL, NULL);
    ck_assert_int_eq(bezel_mcp_add_tools(NULL, server, tools, &err), BEZEL_ERR_DUPLICATE);
    ck_assert_ptr_nonnull(strstr(err.hint, "NAME__tool"));
    bezel_mcp_free(server);
    options.only = only;
    ck_assert_int_eq(start(NULL, NULL, NULL), BEZEL_ERR_MISSING);
    ck_assert_str_eq(err.text, "lua5.4 has no tool ecko");
    ck_assert_ptr_null(server);
    bezel_toolset_free(tools);
}
END_TEST

/* --- Memory ------------------------------------------------------------------------------- */

static bezel_status try_once(test_world *world, void *ctx)
{
    static const char *const only[] = {"echo", NULL};
    const char *const words[] = {"lua5.4", "tests/support/mcp_server.lua", ctx, NULL};
    bezel_mcp_options o;
    bezel_engine *e = NULL;
    bezel_mcp *s = NULL;
    bezel_tree *t = NULL;
    bezel_toolset *set = NULL;
    bezel_value *value = NULL;
    bezel_mcp_options_init(&o);
    o.command = words;
    o.only = only;
    o.timeout_ms = 5000;
    bezel_status st = test_engine_try(&e, world, 1, BEZEL_ISA_SCALAR, NULL);
    if (st == BEZEL_OK)
        st = bezel_tree_new(&t, e, NULL);
    if (st == BEZEL_OK)
        st = bezel_toolset_new(&set, e, NULL);
    if (st == BEZEL_OK)
        st = bezel_mcp_start(&s, e, &o, NULL);
    if (st == BEZEL_OK)
        st = bezel_mcp_add_tools(NULL, s, set, NULL);
    if (st == BEZEL_OK)
        st = bezel_mcp_call(&value, t, s, "echo", NULL, NULL);
    bezel_mcp_free(s);
    bezel_toolset_free(set);
    bezel_tree_free(t);
    bezel_engine_free(e);
    return st;
}

START_TEST(every_failing_allocation_is_an_error_and_no_leak)
{
    char old[] = "old", modern[] = "modern";
    ck_assert_int_ge(test_world_sweep(&tw, try_once, _i ? modern : old, BEZEL_OK), 50);
}
END_TEST

Suite *mcp_suite(void)
{
    Suite *s = suite_create("mcp");
    TCase *tc = tcase_create("server");
    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, an_old_server_is_greeted_with_the_handshake);
    tcase_add_test(tc, a_new_server_needs_no_handshake);
    tcase_add_test(tc, each_known_version_of_the_handshake_is_spoken);
    tcase_add_test(tc, a_version_that_nobody_knows_is_refused);
    tcase_add_test(tc, a_new_server_that_names_an_old_version_is_greeted_with_it);
    tcase_add_test(tc, silence_an_end_and_slowness_are_told_apart);
    tcase_add_test(tc, content_becomes_a_value);
    tcase_add_test(tc, failures_keep_their_words);
    tcase_add_test(tc, noise_is_stepped_over_and_named);
    tcase_add_test(tc, questions_of_a_server_are_answered_or_refused);
    tcase_add_test(tc, large_messages_go_both_ways);
    tcase_add_test(tc, a_message_that_is_too_large_costs_one_call);
    tcase_add_test(tc, a_call_that_is_late_is_cancelled_and_its_answer_ignored);
    tcase_add_test(tc, a_flood_does_not_hold_a_call_beyond_its_time);
    tcase_add_test(tc, a_server_that_never_speaks_is_given_up);
    tcase_add_test(tc, a_server_that_dies_fails_the_call_and_is_started_again);
    tcase_add_test(tc, starting_again_has_an_end);
    tcase_add_test(tc, an_answered_call_makes_the_restarts_count_anew);
    tcase_add_test(tc, one_that_ends_at_its_start_says_why);
    tcase_add_test(tc, one_that_reads_no_more_fails_the_call);
    tcase_add_test(tc, closing_ends_the_server_and_its_children);
    tcase_add_test(tc, standard_error_goes_to_the_log);
    tcase_add_test(tc, a_server_gets_what_it_is_given_and_no_more);
    tcase_add_test(tc, bad_options_are_refused);
    suite_add_tcase(s, tc);
    tc = tcase_create("tools");
    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, tools_are_called_like_any_other);
    tcase_add_test(tc, a_late_tool_is_late_and_cancelled);
    tcase_add_test(tc, calls_of_two_servers_overlap);
    tcase_add_test(tc, a_pending_call_outlives_set_and_server);
    tcase_add_test(tc, one_death_fails_all_its_calls);
    tcase_add_test(tc, five_hundred_tools_come_in_pages);
    tcase_add_test(tc, a_list_without_end_is_refused);
    tcase_add_test(tc, odd_tools_do_not_cost_the_others);
    tcase_add_test(tc, news_of_the_list_bring_its_new_tools);
    tcase_add_test(tc, a_name_that_is_taken_and_one_that_is_missing_are_named);
    suite_add_tcase(s, tc);
    tc = tcase_create("memory");
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, every_failing_allocation_is_an_error_and_no_leak, 0, 2);
    suite_add_tcase(s, tc);
    return s;
}
