/* SPDX-License-Identifier: MIT */
/* Purpose: one table row a prompt form, one renderer for all. Invariant: marks and contents never mix: t->marks tells
 * them apart byte by byte, so that only marks can become control tokens; and no content line looks like a label of a
 * transcript. Not here: ids (model/prompt.c) and the wording of tool declarations and results (tools/).
 * Source: the chat templates of google/gemma-2-2b-it and google/gemma-3-1b-it, restated; stricter in that every role
 * has its place, where theirs print unknown roles. */
#include "text/chat_template.h"

#include "base/alloc.h"
#include "base/options.h"
#include "base/utf8.h"

#include <string.h>

#define CHAT_ORIGIN "chat"

/* --- Profiles ------------------------------------------------------------------------------ */

static const char *const chat_transcript_labels[] = {"User:", "Assistant:", "Result:", "Available Functions", NULL};
static const char *const chat_transcript_stops[] = {"\nUser:", "\nAssistant:", "\nResult:", "\nAvailable Functions", NULL};

#define CHAT_GEMMA_ROW(row_name)                                                                          \
    {                                                                                                     \
        .size = sizeof(bezel_profile), .strict = 1, .name = row_name, .begin = "<bos>",                   \
        .system_close = "\n\n", .user_open = "<start_of_turn>user\n", .user_close = "<end_of_turn>\n",    \
        .assistant_open = "<start_of_turn>model\n", .assistant_close = "<end_of_turn>\n",                 \
        .tool_open = "<start_of_turn>user\n", .tool_close = "<end_of_turn>\n", .trim = 1                  \
    }

static const char *const chat_functiongemma_inner[] = {
    "<start_function_declaration>", "<end_function_declaration>", "<start_function_call>", "<end_function_call>",
    "<start_function_response>",    "<end_function_response>",    "<escape>",              NULL};
static const char *const chat_gemma4_inner[] = {"<|tool>",          "<tool|>",          "<|tool_call>", "<tool_call|>",
                                                "<|tool_response>", "<tool_response|>", "<|\"|>",       NULL};

static const bezel_profile chat_profiles[] = {
    CHAT_GEMMA_ROW("gemma3"),
    CHAT_GEMMA_ROW("gemma2"),
    {.size = sizeof(bezel_profile),
     .strict = 1,
     .name = "functiongemma",
     .begin = "<bos>",
     .system_open = "<start_of_turn>developer\n",
     .system_close = "<end_of_turn>\n",
     .user_open = "<start_of_turn>user\n",
     .user_close = "<end_of_turn>\n",
     .assistant_open = "<start_of_turn>model\n",
     .assistant_close = "<end_of_turn>\n",
     .trim = 1,
     .inner = chat_functiongemma_inner,
     .results_inside = 1},
    {.size = sizeof(bezel_profile),
     .strict = 1,
     .name = "gemma4",
     .begin = "<bos>",
     .system_open = "<|turn>system\n",
     .system_close = "<turn|>\n",
     .user_open = "<|turn>user\n",
     .user_close = "<turn|>\n",
     .assistant_open = "<|turn>model\n",
     .assistant_close = "<turn|>\n",
     .trim = 1,
     .inner = chat_gemma4_inner,
     .results_inside = 1},
    {.size = sizeof(bezel_profile),
     .name = "transcript",
     .begin = "<bos>",
     .system_open = "",
     .system_close = "\n\n",
     .user_open = "User: ",
     .user_close = "\n",
     .assistant_open = "Assistant: ",
     .assistant_close = "\n",
     .tool_open = "",
     .tool_close = "\n",
     .trim = 1,
     .label_guard = 1,
     .labels = chat_transcript_labels,
     .stops = chat_transcript_stops,
     .tool_label = "Result:"},
};

const bezel_profile *bezel_profile_find(const char *name)
{
    for (size_t i = 0; name && i < sizeof chat_profiles / sizeof *chat_profiles; i++)
        if (!strcmp(chat_profiles[i].name, name))
            return &chat_profiles[i];
    return NULL;
}

static const char *const chat_role_names[] = {"", "system", "user", "assistant", "tool"};

const char *bezel_role_name(uint32_t role)
{
    return role <= BEZEL_ROLE_TOOL ? chat_role_names[role] : "";
}

uint32_t bezel_role_from_name(const char *name)
{
    if (!name)
        return 0;
    for (uint32_t role = BEZEL_ROLE_SYSTEM; role <= BEZEL_ROLE_TOOL; role++)
        if (!strcmp(name, chat_role_names[role]))
            return role;
    return strcmp(name, "model") ? 0 : BEZEL_ROLE_ASSISTANT;
}

/* --- Strip --------------------------------------------------------------------------------- */

/* str.isspace of Python 3, which Jinja's trim goes by: neither U+200B nor U+FEFF. */
static int chat_is_blank(uint32_t cp)
{
    return (cp >= 0x09 && cp <= 0x0D) || (cp >= 0x1C && cp <= 0x20) || cp == 0x85 || cp == 0xA0 || cp == 0x1680 ||
           (cp >= 0x2000 && cp <= 0x200A) || cp == 0x2028 || cp == 0x2029 || cp == 0x202F || cp == 0x205F || cp == 0x3000;
}

/* Size of the blank that ends s, 0 when s ends in something else. */
static size_t chat_blank_tail(const char *s, size_t size)
{
    uint32_t cp;
    for (size_t n = 1; n <= 3 && n <= size; n++)
        if (bz_utf8_decode(&cp, s + size - n, n) == n)
            return chat_is_blank(cp) ? n : 0;
    return 0;
}

const char *bz_chat_strip(const char *text, size_t size, size_t *out_size)
{
    uint32_t cp;
    size_t n;
    while (size && (n = bz_utf8_decode(&cp, text, size)) > 0 && chat_is_blank(cp)) {
        text += n;
        size -= n;
    }
    while (size && (n = chat_blank_tail(text, size)) > 0)
        size -= n;
    *out_size = size;
    return text;
}

/* --- Rendering ------------------------------------------------------------------------------ */

void bz_chat_text_init(bz_chat_text *t, const bezel_world *w)
{
    memset(t, 0, sizeof *t);
    bz_strbuf_init(&t->text, w, 0);
}

void bz_chat_text_free(bz_chat_text *t)
{
    bz_free(t->text.world, t->marks);
    bz_strbuf_free(&t->text);
}

typedef struct chat_render {
    bz_chat_text *out;
    const bezel_profile *profile;
    const bezel_message *messages;
    size_t count;
    size_t next;     /* message to look at */
    size_t unfolded; /* system messages from here up to `next` still wait for a turn, when they are folded */
    size_t begin_size;
    bezel_error *err;
} chat_render;

static void chat_mark(bz_chat_text *t, const char *text, size_t size)
{
    if (!size || t->text.status)
        return;
    if (t->n_marks == t->capacity) {
        size_t capacity = t->capacity ? t->capacity * 2 : 16;
        size_t *marks = bz_realloc(t->text.world, t->marks, capacity * 2 * sizeof *marks);
        if (!marks) {
            t->text.status = BEZEL_ERR_MEMORY;
            return;
        }
        t->marks = marks;
        t->capacity = capacity;
    }
    t->marks[2 * t->n_marks] = t->text.size;
    bz_strbuf_add(&t->text, text, size);
    t->marks[2 * t->n_marks++ + 1] = t->text.size;
}

static void chat_mark_text(bz_chat_text *t, const char *text)
{
    if (text)
        chat_mark(t, text, strlen(text));
}

static int chat_begins_with_label(const bezel_profile *p, uint32_t role, const char *line, size_t size)
{
    for (const char *const *label = p->labels; label && *label; label++) {
        size_t n = strlen(*label);
        if (n > size || memcmp(line, *label, n))
            continue;
        if (role != BEZEL_ROLE_TOOL || !p->tool_label || strcmp(*label, p->tool_label))
            return 1;
    }
    return 0;
}

static size_t chat_line_size(const char *text, size_t size)
{
    size_t n = 0;
    while (n < size && text[n] != '\n' && text[n] != '\r')
        n++;
    return n < size ? n + 1 : n;
}

static const char *chat_message_text(const bezel_message *m, size_t *out_size)
{
    const char *text = m->text ? m->text : "";
    *out_size = !m->text ? 0 : m->text_size == SIZE_MAX ? strlen(m->text) : m->text_size;
    return text;
}

/* Size of the control text that text begins with, 0 for none. */
static size_t chat_inner(const bezel_profile *p, const char *text, size_t size)
{
    for (const char *const *inner = p->inner; *inner; inner++) {
        const size_t n = strlen(*inner);
        if (n <= size && !memcmp(text, *inner, n))
            return n;
    }
    return 0;
}

static void chat_plain(chat_render *r, uint32_t role, const char *text, size_t size)
{
    size_t begin = 0;
    for (size_t i = 0; r->profile->inner && role != BEZEL_ROLE_USER && i < size;) {
        const size_t n = text[i] == '<' ? chat_inner(r->profile, text + i, size - i) : 0;
        if (n) {
            bz_strbuf_add(&r->out->text, text + begin, i - begin);
            chat_mark(r->out, text + i, n);
            begin = i + n;
        }
        i += n ? n : 1;
    }
    bz_strbuf_add(&r->out->text, text + begin, size - begin);
}

static void chat_content(chat_render *r, const bezel_message *m)
{
    const bezel_profile *p = r->profile;
    bz_strbuf *out = &r->out->text;
    size_t size;
    const char *text = chat_message_text(m, &size);
    int own = m->role == BEZEL_ROLE_SYSTEM; /* the host's own words */
    if (p->trim && !own)
        text = bz_chat_strip(text, size, &size);
    if (!p->label_guard || own) {
        chat_plain(r, p->label_guard ? BEZEL_ROLE_USER : m->role, text, size);
        return;
    }
    int at_line = out->size == r->begin_size || (out->size && out->data[out->size - 1] == '\n');
    while (size) {
        size_t n = chat_line_size(text, size);
        if (at_line && chat_begins_with_label(p, m->role, text, n))
            bz_strbuf_char(out, ' ');
        bz_strbuf_add(out, text, n);
        text += n;
        size -= n;
        at_line = 1;
    }
}

/* Puts waiting system messages in front of the turn that has just been opened. */
static void chat_fold(chat_render *r)
{
    for (; !r->profile->system_open && r->unfolded < r->next; r->unfolded++) {
        if (r->messages[r->unfolded].role != BEZEL_ROLE_SYSTEM)
            continue;
        chat_content(r, &r->messages[r->unfolded]);
        chat_mark_text(r->out, r->profile->system_close);
    }
}

static bezel_status chat_misplaced(chat_render *r, const char *expected)
{
    return bz_fail(r->err, BEZEL_ERR_FORMAT, CHAT_ORIGIN,
                   "message %zu has role \"%s\", expected %s: in profile \"%s\" user and assistant take turns", r->next,
                   bezel_role_name(r->messages[r->next].role), expected, r->profile->name ? r->profile->name : "");
}

static int chat_is_result(const chat_render *r, size_t i)
{
    return r->profile->results_inside && i < r->count && r->messages[i].role == BEZEL_ROLE_TOOL;
}

static void chat_assistant_turn(chat_render *r)
{
    if (!r->next || !chat_is_result(r, r->next - 1))
        chat_mark_text(r->out, r->profile->assistant_open);
    chat_content(r, &r->messages[r->next++]);
    if (!chat_is_result(r, r->next))
        chat_mark_text(r->out, r->profile->assistant_close);
}

static void chat_user_turn(chat_render *r)
{
    chat_mark_text(r->out, r->profile->user_open);
    chat_fold(r);
    chat_content(r, &r->messages[r->next++]);
    chat_mark_text(r->out, r->profile->user_close);
}

static void chat_tool_turn(chat_render *r)
{
    chat_mark_text(r->out, r->profile->tool_open);
    chat_fold(r);
    chat_content(r, &r->messages[r->next++]);
    chat_mark_text(r->out, r->profile->tool_close);
}

/* Results inside the model's turn, which ends when the user speaks. */
static void chat_inside_turn(chat_render *r)
{
    while (chat_is_result(r, r->next))
        chat_content(r, &r->messages[r->next++]);
    if (r->next < r->count && r->messages[r->next].role == BEZEL_ROLE_USER) {
        chat_mark_text(r->out, r->profile->assistant_close);
        chat_user_turn(r);
    }
}

/* The user's side of a strict profile: results, then perhaps a text, in one turn. */
static void chat_joined_turn(chat_render *r)
{
    const bezel_profile *p = r->profile;
    chat_mark_text(r->out, p->tool_open);
    for (;;) {
        uint32_t role = r->messages[r->next].role;
        chat_content(r, &r->messages[r->next++]);
        uint32_t next = r->next < r->count ? r->messages[r->next].role : 0;
        if (role == BEZEL_ROLE_TOOL && next == BEZEL_ROLE_TOOL) {
            chat_mark_text(r->out, "\n");
        } else if (role == BEZEL_ROLE_TOOL && next == BEZEL_ROLE_USER) {
            chat_mark_text(r->out, "\n\n");
        } else {
            chat_mark_text(r->out, role == BEZEL_ROLE_TOOL ? p->tool_close : p->user_close);
            return;
        }
    }
}

static bezel_status chat_strict_turns(chat_render *r)
{
    r->next = r->messages[0].role == BEZEL_ROLE_SYSTEM;
    if (r->next && r->profile->system_open) {
        chat_mark_text(r->out, r->profile->system_open);
        chat_content(r, &r->messages[0]);
        chat_mark_text(r->out, r->profile->system_close);
    }
    int users_turn = 1, answered = 0;
    while (r->next < r->count) {
        uint32_t role = r->messages[r->next].role;
        if (!users_turn && role != BEZEL_ROLE_ASSISTANT)
            return chat_misplaced(r, "assistant");
        if (users_turn && role != BEZEL_ROLE_USER && (role != BEZEL_ROLE_TOOL || !answered))
            return chat_misplaced(r, answered ? "user or tool" : "user");
        if (role == BEZEL_ROLE_ASSISTANT)
            chat_assistant_turn(r);
        else if (role == BEZEL_ROLE_USER)
            chat_user_turn(r);
        else if (r->profile->results_inside)
            chat_inside_turn(r);
        else
            chat_joined_turn(r);
        users_turn = !users_turn;
        answered = 1;
    }
    return BEZEL_OK;
}

static bezel_status chat_free_turns(chat_render *r)
{
    while (r->next < r->count) {
        switch (r->messages[r->next].role) {
        case BEZEL_ROLE_USER:
            chat_user_turn(r);
            break;
        case BEZEL_ROLE_ASSISTANT:
            chat_assistant_turn(r);
            break;
        case BEZEL_ROLE_TOOL:
            chat_tool_turn(r);
            break;
        default:
            if (r->profile->system_open) {
                chat_mark_text(r->out, r->profile->system_open);
                chat_content(r, &r->messages[r->next]);
                chat_mark_text(r->out, r->profile->system_close);
            }
            r->next++;
        }
    }
    return BEZEL_OK;
}

static bezel_status chat_check_messages(const bezel_message *messages, size_t count, bezel_error *err)
{
    if (!count || !messages)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, CHAT_ORIGIN, "there are no messages to render");
    for (size_t i = 0; i < count; i++) {
        if (messages[i].size != sizeof(bezel_message))
            return bz_fail(err, BEZEL_ERR_VERSION, CHAT_ORIGIN, "message %zu has size %u, expected %zu (sizeof bezel_message)",
                           i, (unsigned)messages[i].size, sizeof(bezel_message));
        if (messages[i].role < BEZEL_ROLE_SYSTEM || messages[i].role > BEZEL_ROLE_TOOL)
            return bz_fail(err, BEZEL_ERR_FORMAT, CHAT_ORIGIN,
                           "message %zu has the unknown role %u, expected BEZEL_ROLE_SYSTEM, _USER, _ASSISTANT or _TOOL", i,
                           (unsigned)messages[i].role);
    }
    return BEZEL_OK;
}

/* A folded system message that no turn has taken. */
static bezel_status chat_check_folded(chat_render *r)
{
    for (size_t i = r->unfolded; !r->profile->system_open && i < r->count; i++)
        if (r->messages[i].role == BEZEL_ROLE_SYSTEM)
            return bz_error_hint(
                r->err,
                bz_fail(r->err, BEZEL_ERR_FORMAT, CHAT_ORIGIN,
                        "message %zu is a system message with no user message after it; profile \"%s\" would lose its text", i,
                        r->profile->name ? r->profile->name : ""),
                "add a user message after it");
    return BEZEL_OK;
}

static void chat_generation_prompt(chat_render *r)
{
    const char *open = r->profile->assistant_open ? r->profile->assistant_open : "";
    size_t n = chat_is_result(r, r->count - 1) ? 0 : strlen(open); /* the turn is open behind results */
    while (n && open[n - 1] == ' ')
        n--;
    chat_mark(r->out, open, n);
}

bezel_status bz_chat_render(bz_chat_text *t, const bezel_profile *profile, const bezel_message *messages, size_t count,
                            int generation_prompt, bezel_error *err)
{
    bezel_profile row;
    memset(&row, 0, sizeof row);
    bezel_status st = profile ? bz_options_read(&row, sizeof row, profile, CHAT_ORIGIN, err)
                              : bz_fail(err, BEZEL_ERR_ARGUMENT, CHAT_ORIGIN, "there is no profile to render with");
    if (!st)
        st = chat_check_messages(messages, count, err);
    if (st)
        return st;
    chat_render r = {.out = t, .profile = &row, .messages = messages, .count = count, .err = err};
    chat_mark_text(t, row.begin);
    r.begin_size = t->text.size;
    st = row.strict ? chat_strict_turns(&r) : chat_free_turns(&r);
    if (!st)
        st = chat_check_folded(&r);
    if (st)
        return st;
    if (generation_prompt)
        chat_generation_prompt(&r);
    if (t->text.status == BEZEL_ERR_LIMIT)
        return bz_fail(err, BEZEL_ERR_LIMIT, CHAT_ORIGIN, "the prompt has over %zu bytes of text", t->text.limit);
    return t->text.status ? bz_fail_memory(err, CHAT_ORIGIN, "the prompt", t->text.size) : BEZEL_OK;
}
