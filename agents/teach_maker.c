/* SPDX-License-Identifier: MIT */
/* A maker of examples: copies of the tools, their templates checked, and templates from the user's own examples, in which the
 * values of the calls become places for other values. */
#include "teach_impl.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/options.h"
#include "base/status.h"

/* --- Own examples ------------------------------------------------------------------------- */

static int own_is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (unsigned char)c >= 0x80;
}

/* Place of a word or number in a text, case of ASCII letters apart; -1 when it is not there as a whole. */
static long own_find(const char *text, const char *what)
{
    const size_t n = strlen(what);
    for (size_t i = 0; n && text[i]; i++) {
        size_t k = 0;
        while (k < n && text[i + k] && (text[i + k] == what[k] || ((text[i + k] ^ what[k]) == 32 && own_is_word(what[k]) && what[k] > '9')))
            k++;
        if (k == n && (i == 0 || !own_is_word(text[i - 1])) && !own_is_word(text[i + n]))
            return (long)i;
    }
    return -1;
}

/* A question with places for the values of its call; what the words only imply stands behind it. */
static void own_template(bz_strbuf *out, const char *question, const bezel_value *arguments, bezel_engine *engine)
{
    long at[64];
    size_t size[64];
    const size_t n = bezel_value_count(arguments) < 64 ? bezel_value_count(arguments) : 64;
    bz_strbuf shown;
    bz_strbuf_init(&shown, out->world, 0);
    for (size_t i = 0; i < n; i++) {
        bz_strbuf_reset(&shown);
        bz_teach_show(&shown, bezel_value_at(arguments, i), NULL, 0);
        at[i] = bezel_value_type(bezel_value_at(arguments, i)) == BEZEL_BOOL ? -1 : own_find(question, bz_strbuf_cstr(&shown));
        size[i] = shown.size;
        for (size_t k = 0; k < i; k++) /* two values at one place: the longer one */
            if (at[i] >= 0 && at[k] >= 0 && at[i] < at[k] + (long)size[k] && at[k] < at[i] + (long)size[i])
                at[size[i] > size[k] ? k : i] = -1;
    }
    for (long c = 0; question[c]; c++) {
        size_t i = 0;
        while (i < n && at[i] != c)
            i++;
        if (i < n) {
            bz_strbuf_format(out, "{%s}", bezel_value_key(arguments, i, NULL));
            c += (long)size[i] - 1;
            continue;
        }
        if (strchr("{}[]()|@\\", question[c]))
            bz_strbuf_char(out, '\\');
        bz_strbuf_char(out, question[c]);
    }
    for (size_t i = 0; i < n; i++) {
        char *json = NULL;
        if (at[i] >= 0 || bezel_json_write(&json, NULL, engine, bezel_value_at(arguments, i), 0, NULL) != BEZEL_OK)
            continue;
        bz_strbuf_format(out, "@%s=%s", bezel_value_key(arguments, i, NULL), json);
        bezel_text_free(engine, json);
    }
    bz_strbuf_free(&shown);
}

/* Question and the one call of an example in either form; NULL when it has no such shape. */
static const bezel_value *own_call(const char **out_question, const bezel_value *example)
{
    const bezel_value *calls = bezel_value_get(example, "calls"), *messages = bezel_value_get(example, "messages");
    *out_question = bezel_value_text(bezel_value_get(example, "question"), NULL);
    for (size_t i = 0; messages && i + 1 < bezel_value_count(messages); i++) {
        const bezel_value *m = bezel_value_at(messages, i);
        if (strcmp(bezel_value_text(bezel_value_get(m, "role"), NULL), "user") != 0)
            continue;
        *out_question = bezel_value_text(bezel_value_get(m, "content"), NULL);
        calls = bezel_value_get(bezel_value_at(messages, i + 1), "calls");
        break;
    }
    return (*out_question)[0] && bezel_value_count(calls) == 1 ? bezel_value_at(calls, 0) : NULL;
}

/* Values that own examples give a text parameter without enum and examples: they and the words of their kind are its examples. */
static void own_values(bezel_teach_maker *m, bezel_value *properties, const bezel_value *arguments)
{
    for (size_t i = 0; i < bezel_value_count(arguments); i++) {
        const char *key = bezel_value_key(arguments, i, NULL);
        const bezel_value *value = bezel_value_at(arguments, i);
        bezel_value *schema = (bezel_value *)(uintptr_t)bezel_value_get(properties, key); /* of our own tree */
        if (!schema || bezel_value_type(value) != BEZEL_TEXT || bezel_value_get(schema, "enum") || bezel_value_get(schema, "format") ||
            bezel_value_get(schema, "examples"))
            continue;
        bezel_value *known = (bezel_value *)(uintptr_t)bezel_value_get(schema, "own examples");
        if (!known) {
            known = bezel_tree_list(m->tree);
            bezel_value_set(m->tree, schema, "own examples", known);
        }
        size_t n = 0;
        const char *const *words = bz_teach_words_like(bezel_value_text(value, NULL), &n);
        for (size_t k = 0; k < n; k++)
            bezel_value_append(m->tree, known, bezel_tree_text(m->tree, words[k], SIZE_MAX));
        bezel_value_append(m->tree, known, bezel_tree_copy(m->tree, value));
    }
}

static void own_read(bezel_teach_maker *m, const bezel_value *own)
{
    for (size_t i = 0; i < bezel_value_count(own); i++) {
        const char *question = NULL;
        const bezel_value *call = own_call(&question, bezel_value_at(own, i)), *arguments = bezel_value_get(call, "arguments");
        for (size_t t = 0; call && t < m->n_tools; t++) {
            const bezel_value *tool = bezel_value_at(m->tools, t);
            if (strcmp(bezel_value_text(bezel_value_get(tool, "name"), NULL), bezel_value_text(bezel_value_get(call, "name"), NULL)) != 0)
                continue;
            bz_strbuf b;
            bz_strbuf_init(&b, m->world, 0);
            own_template(&b, question, arguments, m->engine);
            bezel_value_append(m->tree, (bezel_value *)(uintptr_t)bezel_value_at(m->templates, t),
                               bezel_tree_text(m->tree, bz_strbuf_cstr(&b), SIZE_MAX));
            bz_strbuf_free(&b);
            own_values(m, (bezel_value *)(uintptr_t)bezel_value_get(bezel_value_get(tool, "parameters"), "properties"), arguments);
        }
    }
}

/* --- Making and freeing ------------------------------------------------------------------- */

static bezel_status maker_tool(bezel_teach_maker *m, const bezel_value *item, size_t i, bezel_error *err)
{
    const bezel_value *function = bezel_value_get(item, "function");
    bezel_value *tool = bezel_tree_copy(m->tree, bezel_value_type(function) == BEZEL_MAP ? function : item);
    const bezel_value *questions = bezel_value_get(tool, "questions");
    bezel_value *templates = bezel_tree_list(m->tree);
    if (questions && bezel_value_type(questions) != BEZEL_LIST) {
        bezel_status st = bz_fail(err, BEZEL_ERR_FORMAT, "teach", "the questions of tool %zu are no list of texts", i);
        return bz_error_place(err, st, "[%zu].questions", i);
    }
    for (size_t k = 0; k < bezel_value_count(questions); k++)
        bezel_value_append(m->tree, templates, bezel_tree_copy(m->tree, bezel_value_at(questions, k)));
    bezel_value_append(m->tree, m->tools, tool);
    bezel_value_append(m->tree, m->templates, templates);
    return BEZEL_OK;
}

/* Each template is filled once with any values: a mistake in it is found here. */
static bezel_status maker_check(const bezel_teach_maker *m, bezel_error *err)
{
    for (size_t i = 0; i < m->n_tools; i++) {
        const bezel_value *tool = bezel_value_at(m->tools, i), *list = bezel_value_at(m->templates, i);
        const bezel_value *properties = bezel_value_get(bezel_value_get(tool, "parameters"), "properties");
        for (size_t k = 0; k < bezel_value_count(list); k++) {
            bezel_tree *tree = NULL;
            bz_strbuf text;
            bz_rng rng;
            bezel_status st = bezel_tree_new(&tree, m->engine, err);
            if (st != BEZEL_OK)
                return st;
            bezel_value *values = bezel_tree_map(tree);
            bz_rng_seed(&rng, 1);
            for (size_t p = 0; p < bezel_value_count(properties); p++) {
                const char *key = bezel_value_key(properties, p, NULL);
                bezel_value_set(tree, values, key, bz_teach_value(tree, key, bezel_value_at(properties, p), &rng));
            }
            bz_strbuf_init(&text, m->world, 0);
            st = bz_teach_fill(&text, bezel_tree_map(tree), tree, bezel_value_text(bezel_value_at(list, k), NULL), values, &rng, err);
            if (st != BEZEL_OK)
                bz_error_place(err, st, "%s.questions[%zu]", bezel_value_text(bezel_value_get(tool, "name"), NULL), k);
            bz_strbuf_free(&text);
            bezel_tree_free(tree);
            if (st != BEZEL_OK)
                return st;
        }
    }
    return BEZEL_OK;
}

bezel_status bezel_teach_maker_new(bezel_teach_maker **out, bezel_engine *engine, const bezel_value *tools, const bezel_value *own,
                                   const bezel_teach_maker_options *options, bezel_error *err)
{
    bezel_teach_maker_options o;
    bezel_toolset *set = NULL;
    if (out)
        *out = NULL;
    if (!out || !engine)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "teach", "bezel_teach_maker_new needs out and an engine");
    bezel_teach_maker_options_init(&o);
    bezel_status st = options ? bz_options_read(&o, sizeof o, options, "teach", err) : BEZEL_OK;
    if (st == BEZEL_OK && (o.max_tools < 1 || o.max_tools > BZ_TEACH_TOOLS))
        st = bz_fail(err, BEZEL_ERR_RANGE, "teach", "max_tools is %u, 1 to %u expected", (unsigned)o.max_tools, BZ_TEACH_TOOLS);
    if (st == BEZEL_OK && (o.turns < 1 || o.turns > 16))
        st = bz_fail(err, BEZEL_ERR_RANGE, "teach", "turns is %u, 1 to 16 expected", (unsigned)o.turns);
    if (st == BEZEL_OK && bezel_value_count(tools) == 0)
        st = bz_fail(err, BEZEL_ERR_FORMAT, "teach", "no list of tools to make examples from");
    if (st == BEZEL_OK)
        st = bezel_toolset_new(&set, engine, err);
    if (st == BEZEL_OK)
        st = bezel_toolset_add_list(set, tools, err); /* only to check it */
    bezel_toolset_free(set);
    if (st != BEZEL_OK)
        return st;
    const bezel_world *w = bezel_engine_world(engine);
    bezel_teach_maker *m = bz_zalloc(w, sizeof *m);
    if (!m)
        return bz_fail_memory(err, "teach", "a maker of examples", sizeof *m);
    m->engine = engine;
    m->world = w;
    m->options = o;
    st = bezel_tree_new(&m->tree, engine, err);
    if (st == BEZEL_OK) {
        m->tools = bezel_tree_list(m->tree);
        m->templates = bezel_tree_list(m->tree);
    }
    for (size_t i = 0; st == BEZEL_OK && i < bezel_value_count(tools); i++)
        st = maker_tool(m, bezel_value_at(tools, i), i, err);
    m->n_tools = bezel_value_count(m->tools);
    if (st == BEZEL_OK)
        own_read(m, own);
    if (st == BEZEL_OK && bezel_tree_status(m->tree) != BEZEL_OK)
        st = bz_fail(err, bezel_tree_status(m->tree), "teach", "no room for the tools");
    if (st == BEZEL_OK)
        st = maker_check(m, err);
    if (st == BEZEL_OK)
        *out = m;
    else
        bezel_teach_maker_free(m);
    return st;
}

void bezel_teach_maker_free(bezel_teach_maker *maker)
{
    if (!maker)
        return;
    bezel_tree_free(maker->tree);
    bz_free(maker->world, maker);
}
