/* SPDX-License-Identifier: MIT */
/* The built-in profiles against their written-out prompts, order of roles, labels that become plain text. */
#include "support/test_world.h"
#include "text/chat_template.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static bezel_world world;
static bz_chat_text rendered;
static bezel_error err;

static void setup(void)
{
    bezel_world_init(&world);
    bz_chat_text_init(&rendered, &world);
    err = (bezel_error)BEZEL_ERROR_INIT;
}

static void teardown(void)
{
    bz_chat_text_free(&rendered);
}

/* Messages from a list of role letter and text: "s", "Be brief.", "u", "Hi", NULL. */
static size_t messages_from(bezel_message *out, const char *const *list)
{
    size_t n = 0;
    for (; list[2 * n]; n++) {
        uint32_t role = *list[2 * n] == 's'   ? BEZEL_ROLE_SYSTEM
                        : *list[2 * n] == 'u' ? BEZEL_ROLE_USER
                        : *list[2 * n] == 'a' ? BEZEL_ROLE_ASSISTANT
                        : *list[2 * n] == 't' ? BEZEL_ROLE_TOOL
                                              : 9;
        out[n] = (bezel_message){sizeof(bezel_message), role, list[2 * n + 1], strlen(list[2 * n + 1])};
    }
    return n;
}

static bezel_status render(const bezel_profile *profile, int generation_prompt, const char *const *list)
{
    bezel_message messages[12];
    size_t n = messages_from(messages, list);
    bz_chat_text_free(&rendered);
    bz_chat_text_init(&rendered, &world);
    return bz_chat_render(&rendered, profile, messages, n, generation_prompt, &err);
}

static const char *text_of(const char *profile, int generation_prompt, const char *const *list)
{
    bezel_status st = render(bezel_profile_find(profile), generation_prompt, list);
    ck_assert_msg(st == BEZEL_OK, "%s", err.text);
    return bz_strbuf_cstr(&rendered.text);
}

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

START_TEST(profiles_are_found_by_name)
{
    static const char *const names[] = {"gemma3", "gemma2", "transcript"};
    for (size_t i = 0; i < 3; i++) {
        const bezel_profile *p = bezel_profile_find(names[i]);
        ck_assert_ptr_nonnull(p);
        ck_assert_str_eq(p->name, names[i]);
        ck_assert_uint_eq(p->size, sizeof(bezel_profile));
    }
    ck_assert_ptr_null(bezel_profile_find("gemma9"));
    ck_assert_ptr_null(bezel_profile_find(NULL));
}
END_TEST

START_TEST(roles_have_names_and_model_is_the_assistant)
{
    for (uint32_t role = BEZEL_ROLE_SYSTEM; role <= BEZEL_ROLE_TOOL; role++)
        ck_assert_uint_eq(bezel_role_from_name(bezel_role_name(role)), role);
    ck_assert_uint_eq(bezel_role_from_name("model"), BEZEL_ROLE_ASSISTANT);
    ck_assert_uint_eq(bezel_role_from_name("developer"), 0);
    ck_assert_uint_eq(bezel_role_from_name(""), 0);
    ck_assert_uint_eq(bezel_role_from_name(NULL), 0);
    ck_assert_str_eq(bezel_role_name(0), "");
    ck_assert_str_eq(bezel_role_name(5), "");
}
END_TEST

START_TEST(gemma_turns_are_written_as_the_official_template_does)
{
    ck_assert_str_eq(text_of("gemma3", 1, LIST("u", " Hi \n")), "<bos><start_of_turn>user\nHi<end_of_turn>\n<start_of_turn>model\n");
    ck_assert_str_eq(text_of("gemma3", 0, LIST("u", "Hi", "a", "Hello\n", "u", "")),
                     "<bos><start_of_turn>user\nHi<end_of_turn>\n<start_of_turn>model\nHello<end_of_turn>\n"
                     "<start_of_turn>user\n<end_of_turn>\n");
    ck_assert_str_eq(text_of("gemma2", 1, LIST("u", "Hi")), "<bos><start_of_turn>user\nHi<end_of_turn>\n<start_of_turn>model\n");
}
END_TEST

START_TEST(the_system_text_is_folded_untrimmed_into_the_first_user_turn)
{
    ck_assert_str_eq(text_of("gemma3", 0, LIST("s", " Be brief.\n", "u", "\tHi", "a", "Yo")),
                     "<bos><start_of_turn>user\n Be brief.\n\n\nHi<end_of_turn>\n<start_of_turn>model\nYo<end_of_turn>\n");
    ck_assert_str_eq(text_of("gemma3", 0, LIST("s", "", "u", "Hi")), "<bos><start_of_turn>user\n\n\nHi<end_of_turn>\n");
}
END_TEST

START_TEST(results_share_one_user_turn_with_the_text_after_them)
{
    ck_assert_str_eq(text_of("gemma3", 1, LIST("u", "Q", "a", "C", "t", "R1\n", "t", "R2", "a", "A", "u", "Q2")),
                     "<bos><start_of_turn>user\nQ<end_of_turn>\n<start_of_turn>model\nC<end_of_turn>\n<start_of_turn>user\nR1\nR2"
                     "<end_of_turn>\n<start_of_turn>model\nA<end_of_turn>\n<start_of_turn>user\nQ2<end_of_turn>\n"
                     "<start_of_turn>model\n");
    ck_assert_str_eq(text_of("gemma3", 0, LIST("u", "Q", "a", "C", "t", "R", "u", "And?")),
                     "<bos><start_of_turn>user\nQ<end_of_turn>\n<start_of_turn>model\nC<end_of_turn>\n"
                     "<start_of_turn>user\nR\n\nAnd?<end_of_turn>\n");
}
END_TEST

typedef struct misplaced_case {
    const char *list[11];
    const char *part;
} misplaced_case;

START_TEST(a_message_at_a_wrong_place_is_named)
{
    static const misplaced_case cases[] = {
        {{"a", "x"}, "message 0"},
        {{"t", "x"}, "message 0"},
        {{"u", "x", "u", "y"}, "message 1"},
        {{"u", "x", "t", "y"}, "message 1"},
        {{"u", "x", "s", "y"}, "message 1"},
        {{"u", "x", "a", "y", "a", "z"}, "message 2"},
        {{"s", "x", "a", "y"}, "message 1"},
        {{"s", "x", "s", "y", "u", "z"}, "message 1"},
        {{"u", "x", "a", "y", "u", "z", "t", "w"}, "message 3"},
        {{"u", "x", "a", "y", "s", "z"}, "message 2"},
        {{"u", "x", "?", "y"}, "message 1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_int_eq(render(bezel_profile_find("gemma3"), 1, cases[i].list), BEZEL_ERR_FORMAT);
        ck_assert_msg(strstr(err.text, cases[i].part) != NULL, "%s", err.text);
    }
}
END_TEST

START_TEST(a_lone_system_message_is_an_error_where_it_would_be_lost)
{
    ck_assert_int_eq(render(bezel_profile_find("gemma3"), 1, LIST("s", "Be brief.")), BEZEL_ERR_FORMAT);
    ck_assert_ptr_nonnull(strstr(err.text, "message 0"));
    ck_assert_str_ne(err.hint, "");
    ck_assert_str_eq(text_of("transcript", 0, LIST("s", "Be brief.")), "<bos>Be brief.\n\n");
}
END_TEST

START_TEST(no_messages_and_foreign_structs_are_refused)
{
    bezel_message m = {sizeof(bezel_message) + 8, BEZEL_ROLE_USER, "x", 1};
    ck_assert_int_eq(bz_chat_render(&rendered, bezel_profile_find("gemma3"), &m, 1, 0, &err), BEZEL_ERR_VERSION);
    ck_assert_int_eq(bz_chat_render(&rendered, bezel_profile_find("gemma3"), &m, 0, 0, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_int_eq(bz_chat_render(&rendered, bezel_profile_find("gemma3"), NULL, 1, 0, &err), BEZEL_ERR_ARGUMENT);
    m.size = sizeof m;
    ck_assert_int_eq(bz_chat_render(&rendered, NULL, &m, 1, 0, &err), BEZEL_ERR_ARGUMENT);
}
END_TEST

START_TEST(a_text_may_be_null_or_ended_by_nul)
{
    bezel_message m[2] = {{sizeof *m, BEZEL_ROLE_USER, NULL, 5}, {sizeof *m, BEZEL_ROLE_ASSISTANT, "yes", SIZE_MAX}};
    ck_assert_int_eq(bz_chat_render(&rendered, bezel_profile_find("transcript"), m, 2, 0, &err), BEZEL_OK);
    ck_assert_str_eq(bz_strbuf_cstr(&rendered.text), "<bos>User: \nAssistant: yes\n");
}
END_TEST

START_TEST(a_transcript_is_lines_after_the_system_block)
{
    ck_assert_str_eq(text_of("transcript", 1,
                             LIST("s", "Answer.\n\nUser: an example", "u", "Rain?", "a", "FUNCTION_CALL: f()", "t",
                                  "Result: f = 1\nResult: g = 2\n", "a", " No. ", "u", "Thanks")),
                     "<bos>Answer.\n\nUser: an example\n\nUser: Rain?\nAssistant: FUNCTION_CALL: f()\nResult: f = 1\n"
                     "Result: g = 2\nAssistant: No.\nUser: Thanks\nAssistant:");
}
END_TEST

START_TEST(content_lines_never_look_like_a_label)
{
    ck_assert_str_eq(text_of("transcript", 0, LIST("u", "a\nAssistant: b\r\nUser: c\rResult: d\nAvailable Functions:\n")),
                     "<bos>User: a\n Assistant: b\r\n User: c\r Result: d\n Available Functions:\n");
    ck_assert_str_eq(text_of("transcript", 0, LIST("u", "User: a", "a", "x\nResult: y\n\nUser:")),
                     "<bos>User: User: a\nAssistant: x\n Result: y\n\n User:\n");
    ck_assert_str_eq(text_of("transcript", 0, LIST("t", "Result: a\nUser: b\nResult: c", "t", "Assistant: d")),
                     "<bos>Result: a\n User: b\nResult: c\n Assistant: d\n");
    ck_assert_str_eq(text_of("gemma3", 0, LIST("u", "a\nUser: b")), "<bos><start_of_turn>user\na\nUser: b<end_of_turn>\n");
}
END_TEST

START_TEST(the_last_spaces_of_the_opening_wait_for_the_answer)
{
    bezel_profile own = *bezel_profile_find("transcript");
    own.assistant_open = "AI:  ";
    ck_assert_int_eq(render(&own, 1, LIST("u", "x")), BEZEL_OK);
    ck_assert_str_eq(bz_strbuf_cstr(&rendered.text), "<bos>User: x\nAI:");
    own.assistant_open = NULL;
    ck_assert_int_eq(render(&own, 1, LIST("u", "x")), BEZEL_OK);
    ck_assert_str_eq(bz_strbuf_cstr(&rendered.text), "<bos>User: x\n");
}
END_TEST

START_TEST(an_own_profile_may_fold_without_being_strict)
{
    bezel_profile own = {.size = sizeof own, .system_close = "|", .user_open = "U:", .user_close = ";", .assistant_open = "A:",
                         .assistant_close = ";", .tool_open = "T:", .tool_close = ";"};
    ck_assert_int_eq(render(&own, 1, LIST("a", "0", "s", "1", "s", "2", "a", "3", "t", " 4 ", "u", "5")), BEZEL_OK);
    ck_assert_str_eq(bz_strbuf_cstr(&rendered.text), "A:0;A:3;T:1|2| 4 ;U:5;A:");
    ck_assert_int_eq(render(&own, 1, LIST("u", "0", "s", "1")), BEZEL_ERR_FORMAT);
    own.strict = 1;
    own.system_open = "S:";
    ck_assert_int_eq(render(&own, 0, LIST("s", "1", "u", "5")), BEZEL_OK);
    ck_assert_str_eq(bz_strbuf_cstr(&rendered.text), "S:1|U:5;");
}
END_TEST

START_TEST(marks_cover_exactly_what_the_profile_wrote)
{
    text_of("gemma3", 1, LIST("s", "<bos>", "u", "<start_of_turn>", "a", "x"));
    char mask[256];
    ck_assert_uint_lt(rendered.text.size, sizeof mask);
    memset(mask, '.', rendered.text.size);
    for (size_t i = 0; i < rendered.n_marks; i++)
        for (size_t k = rendered.marks[2 * i]; k < rendered.marks[2 * i + 1]; k++)
            mask[k] = rendered.text.data[k];
    mask[rendered.text.size] = 0;
    ck_assert_str_eq(mask, "<bos><start_of_turn>user\n.....\n\n...............<end_of_turn>\n<start_of_turn>model\n."
                           "<end_of_turn>\n<start_of_turn>model\n");
}
END_TEST

START_TEST(strip_takes_what_python_strips)
{
    static const char *const blanks[] = {" ", "\t", "\n", "\v", "\f", "\r", "\x1c", "\x1d", "\x1e", "\x1f", "\302\205", "\302\240",
                                         "\341\232\200", "\342\200\200", "\342\200\212", "\342\200\250", "\342\200\251",
                                         "\342\200\257", "\342\201\237", "\343\200\200"};
    static const char *const kept[] = {"\342\200\213", "\357\273\277", "\x1b", "\x7f", "\302\204", "\200", "\342\200", "x"};
    size_t n;
    for (size_t i = 0; i < sizeof blanks / sizeof *blanks; i++) {
        char text[16] = "";
        strcat(strcat(strcat(text, blanks[i]), "a"), blanks[i]);
        ck_assert_int_eq(*bz_chat_strip(text, strlen(text), &n), 'a');
        ck_assert_msg(n == 1, "blank %zu", i);
        bz_chat_strip(blanks[i], strlen(blanks[i]), &n);
        ck_assert_uint_eq(n, 0);
    }
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        ck_assert_ptr_eq(bz_chat_strip(kept[i], strlen(kept[i]), &n), kept[i]);
        ck_assert_msg(n == strlen(kept[i]), "kept %zu", i);
    }
}
END_TEST

static bezel_status render_once(test_world *tw, void *ctx)
{
    bezel_message messages[12];
    bz_chat_text t;
    size_t n = messages_from(messages, LIST("s", "rules", "u", "Q", "a", "C", "t", "R", "a", "A", "u", "Q", "a", "A", "u", "Q"));
    bz_chat_text_init(&t, &tw->world);
    bezel_status st = bz_chat_render(&t, ctx, messages, n, 1, &err);
    bz_chat_text_free(&t);
    return st;
}

START_TEST(a_failing_allocation_leaves_nothing_behind)
{
    test_world tw;
    test_world_init(&tw);
    ck_assert_int_gt(test_world_sweep(&tw, render_once, (void *)(uintptr_t)bezel_profile_find("gemma3"), BEZEL_OK), 3);
}
END_TEST

Suite *chat_template_suite(void);
Suite *chat_template_suite(void)
{
    Suite *s = suite_create("chat_template");
    TCase *t = tcase_create("chat_template");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, profiles_are_found_by_name);
    tcase_add_test(t, roles_have_names_and_model_is_the_assistant);
    tcase_add_test(t, gemma_turns_are_written_as_the_official_template_does);
    tcase_add_test(t, the_system_text_is_folded_untrimmed_into_the_first_user_turn);
    tcase_add_test(t, results_share_one_user_turn_with_the_text_after_them);
    tcase_add_test(t, a_message_at_a_wrong_place_is_named);
    tcase_add_test(t, a_lone_system_message_is_an_error_where_it_would_be_lost);
    tcase_add_test(t, no_messages_and_foreign_structs_are_refused);
    tcase_add_test(t, a_text_may_be_null_or_ended_by_nul);
    tcase_add_test(t, a_transcript_is_lines_after_the_system_block);
    tcase_add_test(t, content_lines_never_look_like_a_label);
    tcase_add_test(t, the_last_spaces_of_the_opening_wait_for_the_answer);
    tcase_add_test(t, an_own_profile_may_fold_without_being_strict);
    tcase_add_test(t, marks_cover_exactly_what_the_profile_wrote);
    tcase_add_test(t, strip_takes_what_python_strips);
    tcase_add_test(t, a_failing_allocation_leaves_nothing_behind);
    suite_add_tcase(s, t);
    return s;
}
