/* SPDX-License-Identifier: MIT */
/* Examples from declarations (see teach.h). Example `number` has a generator of its own, seeded by the seed and the number: it
 * does not depend on those made before it. Makes maps only; rendering them is teach.c's. */
#include "teach_impl.h"

#include <stdio.h>
#include <string.h>

#include "base/options.h"
#include "base/status.h"

static const char *const make_missing[] = {"None of the available functions can do that.",
                                           "None of the available functions fits this request.",
                                           "None of the available functions can help with that."};

/* What one example is made with. */
typedef struct make_state {
    bezel_teach_maker *maker;
    bezel_tree *tree;
    bz_rng rng;
    size_t shown[BZ_TEACH_TOOLS], n_shown; /* places of the tools that the model sees, in order */
    bezel_value *renamed[BZ_TEACH_TOOLS];  /* their declarations; renamed.map: parameter to its name there */
    bezel_value *names[BZ_TEACH_TOOLS];
    int fixed; /* the tools are those of the question before */
    char from[192];
} make_state;

void bezel_teach_maker_options_init(bezel_teach_maker_options *out)
{
    *out = (bezel_teach_maker_options){.size = sizeof *out, .seed = 1, .single = 50, .parallel = 8, .several = 8, .missing = 14,
                                       .talk = 8, .answer = 12, .max_tools = 4, .turns = 1};
}

static const bezel_value *make_tool(const bezel_teach_maker *m, size_t i)
{
    return bezel_value_at(m->tools, i);
}

static const bezel_value *make_parameters(const bezel_value *tool)
{
    return bezel_value_get(bezel_value_get(tool, "parameters"), "properties");
}

static int make_requires(const bezel_value *tool, const char *name)
{
    const bezel_value *list = bezel_value_get(bezel_value_get(tool, "parameters"), "required");
    for (size_t i = 0; i < bezel_value_count(list); i++)
        if (strcmp(bezel_value_text(bezel_value_at(list, i), NULL), name) == 0)
            return 1;
    return 0;
}

/* --- Declarations as they are shown ------------------------------------------------------- */

static void make_style(char *out, size_t capacity, const char *name, int style)
{
    size_t n = 0;
    int raise = 0;
    for (; *name && n + 2 < capacity; name++) {
        if (style == 1 && *name == '_') {
            raise = 1;
            continue;
        }
        out[n++] = raise && *name >= 'a' && *name <= 'z' ? (char)(*name - 32) : *name;
        raise = 0;
    }
    out[n] = 0;
}

static const char *make_other_name(make_state *s, const bezel_value *of, const char *name, double p)
{
    const bezel_value *names = bezel_value_get(of, "names");
    const size_t n = bezel_value_count(names);
    return n && bz_teach_chance(&s->rng, p) ? bezel_value_text(bezel_value_at(names, bz_teach_pick(&s->rng, n)), NULL) : name;
}

/* The properties of a tool under the names that this example gives them; names gets old to new. */
static bezel_value *make_properties(make_state *s, const bezel_value *tool, bezel_value *names, bezel_value *required, int style)
{
    static const char *const kept[] = {"type", "description", "enum", "default", "minimum", "maximum", "format", "items", "properties", "required"};
    const bezel_value *from = make_parameters(tool);
    const size_t n = bezel_value_count(from);
    const int vary = (int)s->maker->options.vary;
    const size_t first = vary && n > 1 && bz_teach_chance(&s->rng, 0.2) ? bz_teach_pick(&s->rng, n) : 0;
    const int quiet = vary && bz_teach_chance(&s->rng, 0.1); /* without descriptions */
    bezel_value *to = bezel_tree_map(s->tree);
    for (size_t k = 0; k < n; k++) {
        const size_t i = (first + k) % n;
        const char *key = bezel_value_key(from, i, NULL);
        const bezel_value *schema = bezel_value_at(from, i);
        char name[80];
        make_style(name, sizeof name, vary ? make_other_name(s, schema, key, 0.4) : key, style);
        if (bezel_value_get(to, name))
            snprintf(name, sizeof name, "%.79s", key);
        bezel_value *copy = bezel_tree_map(s->tree);
        for (size_t j = 0; j < sizeof kept / sizeof *kept; j++) {
            const bezel_value *part = bezel_value_get(schema, kept[j]);
            if (part && !(j == 1 && quiet))
                bezel_value_set(s->tree, copy, kept[j], bezel_tree_copy(s->tree, part));
        }
        bezel_value_set(s->tree, to, name, copy);
        bezel_value_set(s->tree, names, key, bezel_tree_text(s->tree, name, SIZE_MAX));
        if (make_requires(tool, key))
            bezel_value_append(s->tree, required, bezel_tree_text(s->tree, name, SIZE_MAX));
    }
    return to;
}

static void make_declare(make_state *s, size_t place)
{
    const bezel_value *tool = make_tool(s->maker, s->shown[place]), *domain = bezel_value_get(tool, "domain");
    const char *description = bezel_value_text(bezel_value_get(tool, "description"), NULL);
    const bezel_value *others = bezel_value_get(tool, "descriptions");
    const int vary = (int)s->maker->options.vary, style = vary && bz_teach_chance(&s->rng, 0.12);
    char name[160];
    const char *chosen = bezel_value_text(bezel_value_get(tool, "name"), NULL);
    if (vary)
        chosen = make_other_name(s, tool, chosen, 0.5);
    make_style(name, sizeof name, chosen, style);
    if (vary && bezel_value_type(domain) == BEZEL_TEXT && !strchr(name, '.') && bz_teach_chance(&s->rng, 0.15)) {
        char full[160];
        snprintf(full, sizeof full, "%.50s.%.100s", bezel_value_text(domain, NULL), name);
        if (strlen(full) <= 64)
            memcpy(name, full, sizeof name);
    }
    if (vary && bezel_value_count(others) && bz_teach_chance(&s->rng, 0.4))
        description = bezel_value_text(bezel_value_at(others, bz_teach_pick(&s->rng, bezel_value_count(others))), NULL);
    bezel_value *map = bezel_tree_map(s->tree), *parameters = bezel_tree_map(s->tree), *required = bezel_tree_list(s->tree);
    s->names[place] = bezel_tree_map(s->tree);
    bezel_value_set(s->tree, map, "name", bezel_tree_text(s->tree, name, SIZE_MAX));
    if (description[0])
        bezel_value_set(s->tree, map, "description", bezel_tree_text(s->tree, description, SIZE_MAX));
    bezel_value_set(s->tree, parameters, "type", bezel_tree_text(s->tree, "object", SIZE_MAX));
    bezel_value_set(s->tree, parameters, "properties", make_properties(s, tool, s->names[place], required, style));
    bezel_value_set(s->tree, parameters, "required", required);
    bezel_value_set(s->tree, map, "parameters", parameters);
    s->renamed[place] = map;
}

static const char *make_group(const bezel_value *tool)
{
    const char *group = bezel_value_text(bezel_value_get(tool, "group"), NULL);
    return group[0] ? group : bezel_value_text(bezel_value_get(tool, "name"), NULL);
}

/* Whether tool i may stand beside those shown: none does the same, none has its name. */
static int make_fits(const make_state *s, size_t i, size_t but)
{
    const char *group = make_group(make_tool(s->maker, i));
    for (size_t k = 0; k < s->n_shown; k++)
        if (s->shown[k] == i || strcmp(group, make_group(make_tool(s->maker, s->shown[k]))) == 0)
            return 0;
    return i != but && (but == SIZE_MAX || strcmp(group, make_group(make_tool(s->maker, but))) != 0);
}

static void make_add(make_state *s, size_t i)
{
    if (s->n_shown < BZ_TEACH_TOOLS)
        s->shown[s->n_shown++] = i;
}

/* n more tools beside those shown, of their domain by half, but none that does what `but` does. */
static void make_distract(make_state *s, size_t n, size_t but)
{
    const size_t all = s->maker->n_tools;
    const size_t near = s->n_shown ? s->shown[0] : but;
    const char *domain = near < all ? bezel_value_text(bezel_value_get(make_tool(s->maker, near), "domain"), NULL) : "";
    for (size_t k = 0; k < n; k++) {
        const int same = bz_teach_chance(&s->rng, 0.5);
        for (size_t tries = 0; tries < 60; tries++) {
            const size_t i = bz_teach_pick(&s->rng, all);
            const char *of = bezel_value_text(bezel_value_get(make_tool(s->maker, i), "domain"), NULL);
            if (!make_fits(s, i, but) || (same && tries < 40 && strcmp(of, domain) != 0))
                continue;
            make_add(s, i);
            break;
        }
    }
}

/* Tools that the model sees beside the ones that the example needs, in an order; then their declarations. */
static void make_show(make_state *s, size_t but)
{
    const bezel_teach_maker_options *o = &s->maker->options;
    if (s->fixed)
        return;
    if (o->vary) {
        const size_t most = bz_teach_chance(&s->rng, 0.45) ? s->n_shown : 1 + bz_teach_pick(&s->rng, o->max_tools);
        make_distract(s, most > s->n_shown ? most - s->n_shown : s->n_shown == 0, but);
    } else if (but == SIZE_MAX) {
        s->n_shown = 0;
        for (size_t i = 0; i < s->maker->n_tools; i++)
            make_add(s, i);
    } else {
        for (size_t i = 0; i < s->maker->n_tools; i++)
            if (make_fits(s, i, but))
                make_add(s, i);
    }
    for (size_t i = s->n_shown; o->vary && i > 1; i--) {
        const size_t j = bz_teach_pick(&s->rng, i), kept = s->shown[j];
        s->shown[j] = s->shown[i - 1];
        s->shown[i - 1] = kept;
    }
    for (size_t i = 0; i < s->n_shown; i++)
        make_declare(s, i);
}

static size_t make_place(const make_state *s, size_t tool)
{
    for (size_t i = 0; i < s->n_shown; i++)
        if (s->shown[i] == tool)
            return i;
    return 0;
}

/* --- Questions ---------------------------------------------------------------------------- */

/* A question for a tool without a template of its own: what it does, and the values. */
static void make_plain_question(make_state *s, bz_strbuf *out, const bezel_value *tool, const bezel_value *values, bezel_value *shown)
{
    const char *description = bezel_value_text(bezel_value_get(tool, "description"), NULL);
    const bezel_value *properties = make_parameters(tool);
    const size_t end = strcspn(description, ".;(");
    if (end) {
        const char first = description[0];
        bz_strbuf_text(out, bz_teach_chance(&s->rng, 0.4) ? "Please " : "");
        bz_strbuf_char(out, out->size && first >= 'A' && first <= 'Z' ? (char)(first + 32) : first);
        bz_strbuf_add(out, description + 1, end - 1);
    } else {
        bz_strbuf_format(out, "Run %s", bezel_value_text(bezel_value_get(tool, "name"), NULL));
    }
    const char *join = bz_teach_chance(&s->rng, 0.5) ? ": " : " with ";
    for (size_t i = 0; i < bezel_value_count(properties); i++) {
        const char *key = bezel_value_key(properties, i, NULL);
        if (!make_requires(tool, key) && bz_teach_chance(&s->rng, 0.6))
            continue;
        bz_strbuf_text(out, join);
        for (const char *c = key; *c; c++)
            bz_strbuf_char(out, *c == '_' ? ' ' : *c);
        bz_strbuf_char(out, ' ');
        bz_teach_show(out, bezel_value_get(values, key), NULL, 0);
        bezel_value_set(s->tree, shown, key, bezel_tree_copy(s->tree, bezel_value_get(values, key)));
        join = ", ";
    }
    bz_strbuf_char(out, '.');
}

static int make_is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

/* 1 when a text asks or speaks of somebody: "please" does not go before it. */
static int make_asks(const char *text)
{
    static const char *const words[] = {"What", "How", "Who", "When", "Where", "Which", "Is ",    "Are ", "Do",  "Can",
                                        "Could", "Will", "I ",  "I'",   "Why",   "Please", "If", "My",   "A ", "The "};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strncmp(text, words[i], strlen(words[i])) == 0)
            return 1;
    return 0;
}

/* Text with its first letter small, unless it is "I" or begins a name in capitals. */
static void make_lower(bz_strbuf *out, const char *text, size_t n, int lower)
{
    const int plain = n < 2 || !make_is_upper(text[0]) || make_is_upper(text[1]) || text[1] == '\'' || text[1] == ' ';
    if (n)
        bz_strbuf_char(out, lower && !plain ? (char)(text[0] + 32) : text[0]);
    if (n > 1)
        bz_strbuf_add(out, text + 1, n - 1);
}

/* How the same is said otherwise: before, behind, in lower case, without its last mark. */
static void make_manner(make_state *s, bz_strbuf *out, const char *text)
{
    static const char *const before[] = {"Hi, ", "Hello! ", "Hey, ", "Quick question: ", "Please help me. ", "One more thing: "};
    static const char *const ask[] = {"Please ", "Can you ", "Could you please ", "I need you to ", "I'd like you to "};
    static const char *const behind[] = {" Thanks!", " Thank you.", " Please.", " I need it for work."};
    const double p = bz_rng_unit(&s->rng);
    size_t n = strlen(text);
    const char *lead = "";
    int lower = 0;
    if (p < 0.12) {
        lead = before[bz_teach_pick(&s->rng, sizeof before / sizeof *before)];
        lower = lead[strlen(lead) - 2] == ',' || lead[strlen(lead) - 2] == ':';
    } else if (p < 0.3 && !make_asks(text)) {
        lead = ask[bz_teach_pick(&s->rng, sizeof ask / sizeof *ask)];
        lower = 1;
    } else if (p > 0.9) {
        lower = 1;
    }
    while (p > 0.9 && n > 1 && (text[n - 1] == '.' || text[n - 1] == '?'))
        n--;
    bz_strbuf_text(out, lead);
    make_lower(out, text, n, lower);
    if (lead[0] == 'C' && n > 1 && out->data && out->data[out->size - 1] == '.') {
        bz_strbuf_cut(out, out->size - 1);
        bz_strbuf_char(out, '?');
    }
    if (p <= 0.9 && bz_teach_chance(&s->rng, 0.06))
        bz_strbuf_text(out, behind[bz_teach_pick(&s->rng, sizeof behind / sizeof *behind)]);
}

/* Text to out, the values that it says to shown. */
static bezel_status make_question(make_state *s, bz_strbuf *out, bezel_value *shown, size_t i, bezel_error *err)
{
    const bezel_value *tool = make_tool(s->maker, i), *properties = make_parameters(tool);
    const bezel_value *templates = bezel_value_at(s->maker->templates, i);
    bezel_value *values = bezel_tree_map(s->tree);
    bz_strbuf text;
    bezel_status st = BEZEL_OK;
    for (size_t k = 0; k < bezel_value_count(properties); k++) {
        const char *key = bezel_value_key(properties, k, NULL);
        bezel_value_set(s->tree, values, key, bz_teach_value(s->tree, key, bezel_value_at(properties, k), &s->rng));
    }
    bz_strbuf_init(&text, s->maker->world, 0);
    const size_t n = bezel_value_count(templates);
    if (n > 0 && (s->maker->options.vary || bz_teach_chance(&s->rng, 0.9))) {
        const size_t k = bz_teach_pick(&s->rng, n);
        snprintf(s->from + strlen(s->from), sizeof s->from - strlen(s->from), " %.64s#%zu", make_group(tool), k);
        st = bz_teach_fill(&text, shown, s->tree, bezel_value_text(bezel_value_at(templates, k), NULL), values, &s->rng, err);
    } else {
        snprintf(s->from + strlen(s->from), sizeof s->from - strlen(s->from), " %.64s", make_group(tool));
        make_plain_question(s, &text, tool, values, shown);
    }
    if (st == BEZEL_OK)
        make_manner(s, out, bz_strbuf_cstr(&text));
    bz_strbuf_free(&text);
    for (size_t k = 0; st == BEZEL_OK && k < bezel_value_count(properties); k++) { /* required, but not said by the template */
        const char *key = bezel_value_key(properties, k, NULL);
        if (make_requires(tool, key) && !bezel_value_get(shown, key))
            st = bz_fail(err, BEZEL_ERR_FORMAT, "teach", "a question of %s does not say its required parameter %s: \"%.120s\"",
                         make_group(tool), key, bz_strbuf_cstr(out));
    }
    return st;
}

/* The call of a tool with what a question said, in declared order, under the names of this example. */
static bezel_value *make_call(make_state *s, size_t i, const bezel_value *shown)
{
    const size_t place = make_place(s, i);
    const bezel_value *properties = bezel_value_get(bezel_value_get(s->renamed[place], "parameters"), "properties");
    bezel_value *call = bezel_tree_map(s->tree), *arguments = bezel_tree_map(s->tree);
    for (size_t k = 0; k < bezel_value_count(properties); k++) {
        const char *key = bezel_value_key(properties, k, NULL);
        for (size_t j = 0; j < bezel_value_count(s->names[place]); j++) {
            const bezel_value *said = bezel_value_get(shown, bezel_value_key(s->names[place], j, NULL));
            if (said && strcmp(bezel_value_text(bezel_value_at(s->names[place], j), NULL), key) == 0)
                bezel_value_set(s->tree, arguments, key, bezel_tree_copy(s->tree, said));
        }
    }
    bezel_value_set(s->tree, call, "name", bezel_tree_copy(s->tree, bezel_value_get(s->renamed[place], "name")));
    bezel_value_set(s->tree, call, "arguments", arguments);
    return call;
}

/* --- Conversations ------------------------------------------------------------------------ */

static bezel_value *make_message(make_state *s, bezel_value *list, const char *role, const char *content)
{
    bezel_value *m = bezel_tree_map(s->tree);
    bezel_value_set(s->tree, m, "role", bezel_tree_text(s->tree, role, SIZE_MAX));
    if (content)
        bezel_value_set(s->tree, m, "content", bezel_tree_text(s->tree, content, SIZE_MAX));
    bezel_value_append(s->tree, list, m);
    return m;
}

/* What the tool gave, and what the model says to it. */
static bezel_status make_answer(make_state *s, bezel_value *messages, size_t i, const bezel_value *shown, bezel_error *err)
{
    const bezel_value *tool = make_tool(s->maker, i), *answers = bezel_value_get(tool, "answers");
    bezel_value *result = bz_teach_result(s->tree, tool, &s->rng), *values = bezel_tree_copy(s->tree, shown);
    const int is_map = bezel_value_type(result) == BEZEL_MAP;
    const size_t n = bezel_value_count(answers);
    bz_strbuf b;
    bezel_value *m = make_message(s, messages, "tool", NULL);
    bezel_value_set(s->tree, m, "name", bezel_tree_copy(s->tree, bezel_value_get(s->renamed[make_place(s, i)], "name")));
    bezel_value_set(s->tree, m, "content", result);
    for (size_t k = 0; is_map && k < bezel_value_count(result); k++)
        bezel_value_set(s->tree, values, bezel_value_key(result, k, NULL), bezel_tree_copy(s->tree, bezel_value_at(result, k)));
    bezel_value_set(s->tree, values, "result", bezel_tree_copy(s->tree, result));
    bz_strbuf_init(&b, s->maker->world, 0);
    const char *text = n ? bezel_value_text(bezel_value_at(answers, bz_teach_pick(&s->rng, n)), NULL)
                       : bezel_value_type(result) == BEZEL_TEXT ? "Done, the answer was: {result}." : "The result is {result}.";
    bezel_error inner = BEZEL_ERROR_INIT;
    if (bz_teach_fill(&b, bezel_tree_map(s->tree), s->tree, text, values, &s->rng, &inner) != BEZEL_OK) {
        bz_strbuf_reset(&b); /* an answer that names a parameter which this call left out */
        bz_strbuf_text(&b, "The result is ");
        bz_teach_show(&b, result, NULL, 0);
        bz_strbuf_char(&b, '.');
    }
    make_message(s, messages, "assistant", bz_strbuf_cstr(&b));
    bezel_status st = b.status != BEZEL_OK ? bz_fail(err, b.status, "teach", "no room for an answer") : BEZEL_OK;
    bz_strbuf_free(&b);
    return st;
}

enum { MAKE_SINGLE, MAKE_PARALLEL, MAKE_SEVERAL, MAKE_MISSING, MAKE_TALK, MAKE_ANSWER };
static const char *const make_kinds[] = {"single", "parallel", "several", "missing", "talk", "answer"};

static uint32_t make_kind(make_state *s)
{
    const bezel_teach_maker_options *o = &s->maker->options;
    const uint32_t parts[] = {o->single, o->parallel, o->several, o->missing, o->talk, o->answer};
    double sum = 0, x;
    for (int i = 0; i < 6; i++)
        sum += parts[i];
    x = bz_rng_unit(&s->rng) * sum;
    for (uint32_t i = 0; i < 6; i++) {
        if (x < parts[i])
            return i;
        x -= parts[i];
    }
    return MAKE_SINGLE;
}

/* The tools that n calls are of, the same or several, into what is shown. */
static void make_choose(make_state *s, size_t *tools, size_t n, uint32_t kind)
{
    for (size_t k = 0; k < n; k++) {
        const int other = kind == MAKE_SEVERAL && k > 0;
        if (s->fixed) {
            tools[k] = kind == MAKE_PARALLEL && k > 0 ? tools[0] : s->shown[bz_teach_pick(&s->rng, s->n_shown)];
            continue;
        }
        tools[k] = k > 0 && kind == MAKE_PARALLEL ? tools[0] : bz_teach_pick(&s->rng, s->maker->n_tools);
        for (size_t tries = 0; other && !make_fits(s, tools[k], SIZE_MAX) && tries < 50; tries++)
            tools[k] = bz_teach_pick(&s->rng, s->maker->n_tools);
        if (make_fits(s, tools[k], SIZE_MAX))
            make_add(s, tools[k]);
        else if (other)
            tools[k] = tools[0];
    }
}

/* One question behind others: joined by a word, its first letter small where that goes on. */
static void make_join(bz_strbuf *out, const bz_strbuf *part, const char *join, int first, int last)
{
    const char *text = bz_strbuf_cstr(part);
    bz_strbuf_text(out, first ? "" : join);
    make_lower(out, text, part->size, !first && (join[1] == 'T' || (join[1] && join[strlen(join) - 2] == ',')));
    if (part->size && !last && strchr(".!?", text[part->size - 1]) == NULL)
        bz_strbuf_char(out, '.');
}

static void make_call_once(make_state *s, bezel_value *calls, bezel_value *call)
{
    for (size_t j = 0; j < bezel_value_count(calls); j++)
        if (bezel_value_equal(bezel_value_at(calls, j), call))
            return;
    bezel_value_append(s->tree, calls, call);
}

/* A question with calls: one, or up to three of the same or of several tools. */
static bezel_status make_calling(make_state *s, bezel_value *messages, uint32_t kind, bezel_error *err)
{
    static const char *const joins[] = {" ", " Also, ", " And then: ", " Then ", " Besides, "};
    const size_t n = kind == MAKE_PARALLEL || kind == MAKE_SEVERAL ? 2 + (size_t)bz_teach_chance(&s->rng, 0.35) : 1;
    size_t tools[3] = {0};
    bz_strbuf b;
    bezel_value *calls = bezel_tree_list(s->tree), *said[3] = {NULL};
    bezel_status st = BEZEL_OK;
    make_choose(s, tools, n, kind);
    make_show(s, SIZE_MAX);
    bz_strbuf_init(&b, s->maker->world, 0);
    const char *join = joins[bz_teach_pick(&s->rng, sizeof joins / sizeof *joins)];
    for (size_t k = 0; st == BEZEL_OK && k < n; k++) {
        bz_strbuf part;
        bz_strbuf_init(&part, s->maker->world, 0);
        said[k] = bezel_tree_map(s->tree);
        st = make_question(s, &part, said[k], tools[k], err);
        make_join(&b, &part, join, k == 0, k + 1 == n);
        bz_strbuf_free(&part);
        make_call_once(s, calls, make_call(s, tools[k], said[k]));
    }
    make_message(s, messages, "user", bz_strbuf_cstr(&b));
    if (st == BEZEL_OK && b.status != BEZEL_OK)
        st = bz_fail(err, b.status, "teach", "no room for a question");
    bz_strbuf_free(&b);
    bezel_value_set(s->tree, make_message(s, messages, "assistant", NULL), "calls", calls);
    return st == BEZEL_OK && kind == MAKE_ANSWER ? make_answer(s, messages, tools[0], said[0], err) : st;
}

/* A question that no tool shown is for. */
static bezel_status make_refusing(make_state *s, bezel_value *messages, bezel_error *err)
{
    const bezel_teach_maker *m = s->maker;
    size_t n_others = 0;
    const char *const *others = bz_teach_others(&n_others);
    const int own = !s->fixed && m->n_tools > 1 && bz_teach_chance(&s->rng, m->options.vary ? 0.92 : 0.15);
    bz_strbuf b;
    bezel_status st = BEZEL_OK;
    bz_strbuf_init(&b, m->world, 0);
    if (own) {
        const size_t asked = bz_teach_pick(&s->rng, m->n_tools);
        make_show(s, asked);
        st = make_question(s, &b, bezel_tree_map(s->tree), asked, err);
    }
    if (!own || s->n_shown == 0) {
        const size_t i = bz_teach_pick(&s->rng, n_others);
        bz_strbuf_reset(&b);
        s->n_shown = s->fixed ? s->n_shown : 0;
        make_show(s, SIZE_MAX);
        snprintf(s->from + strlen(s->from), sizeof s->from - strlen(s->from), " other#%zu", i);
        make_manner(s, &b, others[i]);
    }
    make_message(s, messages, "user", bz_strbuf_cstr(&b));
    make_message(s, messages, "assistant", make_missing[bz_teach_pick(&s->rng, sizeof make_missing / sizeof *make_missing)]);
    bz_strbuf_free(&b);
    return st;
}

static void make_talking(make_state *s, bezel_value *messages)
{
    size_t n = 0;
    const bz_teach_chat *talks = bz_teach_talks(&n);
    const size_t i = bz_teach_pick(&s->rng, n);
    make_show(s, SIZE_MAX);
    snprintf(s->from + strlen(s->from), sizeof s->from - strlen(s->from), " talk#%zu", i);
    make_message(s, messages, "user", talks[i].question);
    make_message(s, messages, "assistant", talks[i].answer);
}

bezel_status bezel_teach_maker_make(bezel_value **out, bezel_teach_maker *maker, bezel_tree *tree, uint64_t number, bezel_error *err)
{
    if (out)
        *out = NULL;
    if (!out || !maker || !tree)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "teach", "bezel_teach_maker_make needs out, a maker and a tree");
    make_state s = {.maker = maker, .tree = tree};
    bz_rng_seed(&s.rng, maker->options.seed * 0x9E3779B97F4A7C15u + number);
    const uint32_t kind = make_kind(&s);
    bezel_value *example = bezel_tree_map(tree), *messages = bezel_tree_list(tree), *tools = bezel_tree_list(tree);
    bezel_status st = BEZEL_OK;
    snprintf(s.from, sizeof s.from, "seed %llu/%llu:", (unsigned long long)maker->options.seed, (unsigned long long)number);
    const size_t turns = 1 + bz_teach_pick(&s.rng, maker->options.turns);
    for (size_t i = 0; st == BEZEL_OK && i < turns && s.n_shown + !i > 0; i++) {
        const uint32_t next = i ? make_kind(&s) : kind;
        s.fixed = i > 0;
        if (next == MAKE_TALK)
            make_talking(&s, messages);
        else
            st = next == MAKE_MISSING ? make_refusing(&s, messages, err) : make_calling(&s, messages, next, err);
    }
    for (size_t i = 0; i < s.n_shown; i++)
        bezel_value_append(tree, tools, s.renamed[i]);
    bezel_value_set(tree, example, "kind", bezel_tree_text(tree, make_kinds[kind], SIZE_MAX));
    bezel_value_set(tree, example, "from", bezel_tree_text(tree, s.from, SIZE_MAX));
    bezel_value_set(tree, example, "tools", tools);
    bezel_value_set(tree, example, "messages", messages);
    if (st == BEZEL_OK && bezel_tree_status(tree) != BEZEL_OK)
        st = bz_fail(err, bezel_tree_status(tree), "teach", "no room for an example");
    *out = st == BEZEL_OK ? example : NULL;
    return st;
}
