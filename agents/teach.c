/* SPDX-License-Identifier: MIT */
/* A set of examples as ids. Main invariant: ids come from bezel_prompt_render alone, over the texts that an agent would put
 * there, so that what is taught is what is read in use; what is learned are the ids behind an opened turn of the model. */
#include "teach_impl.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/options.h"
#include "base/status.h"
#include "base/strbuf.h"
#include "base/value_impl.h"

struct bezel_teach {
    bezel_engine *engine;
    const bezel_world *world;
    const bezel_model *model;
    bezel_teach_options options;
    const bezel_value *tools; /* of the last call of add that had some, compiled: */
    bezel_toolset *compiled;
    bezel_train_example *examples; /* ids and learn of each are one block with its source */
    char **from;
    size_t n, capacity;
    bezel_teach_counts counts;
};

void bezel_teach_options_init(bezel_teach_options *out)
{
    *out = (bezel_teach_options){.size = sizeof *out, .max_length = 2048};
}

bezel_status bezel_teach_new(bezel_teach **out, const bezel_model *model, const bezel_teach_options *options, bezel_error *err)
{
    bezel_teach_options o;
    if (out)
        *out = NULL;
    if (!out || !model)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "teach", "bezel_teach_new needs out and a model");
    bezel_teach_options_init(&o);
    bezel_status st = options ? bz_options_read(&o, sizeof o, options, "teach", err) : BEZEL_OK;
    if (st != BEZEL_OK)
        return st;
    if (!o.profile)
        o.profile = bezel_profile_find("gemma3");
    if (!o.tool_profile)
        o.tool_profile = bezel_tool_profile_of(o.profile);
    if (o.tool_profile->dialect && strcmp(o.tool_profile->dialect, "function_call") != 0)
        return bz_fail(err, BEZEL_ERR_UNSUPPORTED, "teach", "calls are taught as FUNCTION_CALL lines, not in the dialect %s",
                       o.tool_profile->dialect);
    bezel_engine *engine = bezel_model_engine(model);
    const bezel_world *w = bezel_engine_world(engine);
    bezel_teach *t = bz_zalloc(w, sizeof *t);
    if (!t)
        return bz_fail_memory(err, "teach", "a set of examples", sizeof *t);
    t->engine = engine;
    t->world = w;
    t->model = model;
    t->options = o;
    *out = t;
    return BEZEL_OK;
}

void bezel_teach_free(bezel_teach *teach)
{
    if (!teach)
        return;
    for (size_t i = 0; i < teach->n; i++) {
        bz_free(teach->world, (void *)(uintptr_t)teach->examples[i].ids);
        bz_free(teach->world, teach->from[i]);
    }
    bezel_toolset_free(teach->compiled);
    bz_free(teach->world, teach->examples);
    bz_free(teach->world, teach->from);
    bz_free(teach->world, teach);
}

/* --- What is learned ---------------------------------------------------------------------- */

/* Marks in learn [n] the ids of the model's turn `place`: those behind the opened turn, up to and with the id that ends it. */
static bezel_status teach_mark(bezel_teach *t, uint8_t *learn, const int32_t *ids, size_t n, const bezel_message *list,
                               size_t place, bezel_error *err)
{
    bezel_prompt *before = NULL, *with = NULL;
    size_t n_before = 0, n_with = 0, at = 0;
    bezel_status st = bezel_prompt_render(&before, t->model, t->options.profile, list, place, 1, err);
    if (st == BEZEL_OK)
        st = bezel_prompt_render(&with, t->model, t->options.profile, list, place + 1, 0, err);
    if (st == BEZEL_OK) {
        const int32_t *opened = bezel_prompt_ids(before, &n_before);
        bezel_prompt_ids(with, &n_with);
        while (at < n && at < n_before && ids[at] == opened[at])
            at++;
        for (; at < n && at < n_with; at++) {
            learn[at] = 1;
            if (bezel_token_is_end(t->model, ids[at]))
                break;
        }
    }
    bezel_prompt_free(before);
    bezel_prompt_free(with);
    return st;
}

static bezel_status teach_keep(bezel_teach *t, const int32_t *ids, const uint8_t *learn, size_t n, const char *from,
                               bezel_error *err)
{
    if (t->n == t->capacity) {
        const size_t capacity = t->capacity ? t->capacity * 2 : 64;
        bezel_train_example *examples = bz_realloc(t->world, t->examples, capacity * sizeof *examples);
        if (examples)
            t->examples = examples;
        char **names = examples ? bz_realloc(t->world, t->from, capacity * sizeof *names) : NULL;
        if (!names)
            return bz_fail_memory(err, "teach", "the examples", capacity * sizeof *examples);
        t->from = names;
        t->capacity = capacity;
    }
    char *name = bz_text_dup(t->world, from, SIZE_MAX);
    int32_t *block = bz_alloc(t->world, n * (sizeof *ids + 1));
    if (!block || !name) {
        bz_free(t->world, name);
        bz_free(t->world, block);
        return bz_fail_memory(err, "teach", "an example", n * (sizeof *ids + 1));
    }
    uint8_t *marks = (uint8_t *)(block + n);
    memcpy(block, ids, n * sizeof *ids);
    memcpy(marks, learn, n);
    t->from[t->n] = name;
    t->examples[t->n++] = (bezel_train_example){block, marks, n};
    t->counts.n_tokens += n;
    for (size_t i = 1; i < n; i++)
        t->counts.n_learned += learn[i];
    return BEZEL_OK;
}

/* Renders the messages of a talk and keeps their ids. */
static bezel_status teach_render(bezel_teach *t, const bz_teach_talk *talk, const char *from, bezel_error *err)
{
    bezel_prompt *prompt = NULL;
    uint8_t *learn = NULL;
    size_t n = 0;
    bezel_status st = bezel_prompt_render(&prompt, t->model, t->options.profile, talk->messages, talk->n, 0, err);
    const int32_t *ids = st == BEZEL_OK ? bezel_prompt_ids(prompt, &n) : NULL;
    if (st == BEZEL_OK && n > t->counts.longest)
        t->counts.longest = n;
    if (st == BEZEL_OK && n > t->options.max_length) {
        t->counts.n_too_long++;
        goto done;
    }
    if (st == BEZEL_OK && !(learn = bz_zalloc(t->world, n)))
        st = bz_fail_memory(err, "teach", "an example", n);
    for (size_t i = 0; st == BEZEL_OK && i < talk->n; i++)
        if (talk->learn[i])
            st = teach_mark(t, learn, ids, n, talk->messages, i, err);
    if (st == BEZEL_OK)
        st = teach_keep(t, ids, learn, n, from, err);
done:
    bz_free(t->world, learn);
    bezel_prompt_free(prompt);
    return st;
}

/* --- Adding ------------------------------------------------------------------------------- */

/* Tools of an example: its own, which *out_own frees, or those of the caller, compiled once. */
static bezel_status teach_tools(const bezel_toolset **out, bezel_toolset **out_own, bezel_teach *t, const bezel_value *example,
                                const bezel_value *tools, bezel_error *err)
{
    const bezel_value *own = bezel_value_get(example, "tools");
    bezel_toolset *made = NULL;
    *out = *out_own = NULL;
    if (!own && !tools)
        return BEZEL_OK;
    if (!own && tools == t->tools) {
        *out = t->compiled;
        return BEZEL_OK;
    }
    bezel_status st = bezel_toolset_new(&made, t->engine, err);
    if (st == BEZEL_OK)
        st = bezel_toolset_add_list(made, own ? own : tools, err);
    if (st != BEZEL_OK) {
        bezel_toolset_free(made);
        return st;
    }
    *out = made;
    if (own) {
        *out_own = made;
    } else {
        bezel_toolset_free(t->compiled);
        t->compiled = made;
        t->tools = tools;
    }
    return BEZEL_OK;
}

bezel_status bezel_teach_add(bezel_teach *teach, const bezel_value *example, const bezel_value *tools, const char *from,
                             bezel_error *err)
{
    if (!teach)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "teach", "bezel_teach_add needs a set");
    const char *source = from ? from : bezel_value_text(bezel_value_get(example, "from"), NULL);
    bezel_toolset *own = NULL;
    bz_teach_talk talk = {.engine = teach->engine, .world = teach->world, .tool_profile = teach->options.tool_profile};
    bezel_error inner = BEZEL_ERROR_INIT;
    bezel_status st = teach_tools(&talk.tools, &own, teach, example, tools, &inner);
    if (st == BEZEL_OK)
        st = bz_teach_talk_read(&talk, example, &inner);
    if (st == BEZEL_OK)
        st = teach_render(teach, &talk, source, &inner);
    bz_teach_talk_free(&talk);
    bezel_toolset_free(own);
    if (st == BEZEL_OK)
        return st;
    char place[sizeof inner.place];
    memcpy(place, inner.place, sizeof place);
    bz_error_place(&inner, st, "%s%s%s", source, source[0] && place[0] ? ": " : "", place);
    return bz_error_copy(err, &inner);
}

bezel_status bezel_teach_read(bezel_teach *teach, const char *lines, size_t size, const bezel_value *tools, const char *name,
                              bezel_error *err)
{
    if (!teach || !lines)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "teach", "bezel_teach_read needs a set and lines");
    const size_t end = size == SIZE_MAX ? strlen(lines) : size;
    size_t line = 0;
    bezel_status st = BEZEL_OK;
    for (size_t at = 0; st == BEZEL_OK && at < end;) {
        const char *stop = memchr(lines + at, '\n', end - at);
        const size_t n = stop ? (size_t)(stop - lines) - at : end - at;
        size_t blanks = 0;
        char from[192];
        line++;
        while (blanks < n && (lines[at + blanks] == ' ' || lines[at + blanks] == '\t' || lines[at + blanks] == '\r'))
            blanks++;
        if (blanks < n) {
            bezel_tree *tree = NULL;
            bezel_value *example = NULL;
            bezel_error inner = BEZEL_ERROR_INIT;
            snprintf(from, sizeof from, "%.150s:%zu", name ? name : "line", line);
            st = bezel_tree_new(&tree, teach->engine, err);
            if (st == BEZEL_OK && (st = bezel_json_read(&example, tree, lines + at, n, &inner)) != BEZEL_OK) {
                bz_error_place(&inner, st, "%s", from);
                bz_error_hint(&inner, st, "each line is one JSON map: {\"question\": ...}, {\"messages\": ...} or {\"instruction\": ...}");
                bz_error_copy(err, &inner);
            }
            if (st == BEZEL_OK)
                st = bezel_teach_add(teach, example, tools, from, err);
            bezel_tree_free(tree);
        }
        at += n + 1;
    }
    return st;
}

/* --- What there is ------------------------------------------------------------------------ */

const bezel_train_example *bezel_teach_examples(const bezel_teach *teach, size_t *out_count)
{
    if (out_count)
        *out_count = teach ? teach->n : 0;
    return teach ? teach->examples : NULL;
}

const char *bezel_teach_from(const bezel_teach *teach, size_t i)
{
    return teach && i < teach->n ? teach->from[i] : NULL;
}

void bezel_teach_count(bezel_teach_counts *out, const bezel_teach *teach)
{
    if (!bz_struct_sized(out))
        return;
    bezel_teach_counts counts = {0};
    if (teach) {
        counts = teach->counts;
        counts.n_examples = teach->n;
    }
    bz_struct_give(out, &counts, sizeof counts);
}
