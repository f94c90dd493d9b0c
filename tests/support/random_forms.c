/* SPDX-License-Identifier: MIT */
/* Makes schemas and answers from one generator, so a failing seed can be run again. The machine is read beside the run that is
 * tested, and the parser of tools judges the text. */
#include "support/random_forms.h"

#include <bezel/constraint.h>
#include <bezel/tools.h>

#include <check.h>
#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/strbuf.h"
#include "generate/constraint_run.h"
#include "model/model_impl.h"

enum { MOST_TOKENS = 4000, MOST_TOOLS = 4 };

typedef struct walk {
    random_forms *out;
    bezel_model *model;
    bezel_constraint *constraint;
    bz_constraint_run *run;
    bz_call_state state; /* where the run should be */
    bz_token_mask mask;  /* of our own */
    bz_rng rng;
    bz_strbuf text;
    float *logits;
    char *schemas; /* JSON of the tools */
    uint64_t mask_every; /* compares the mask at one of so many states */
} walk;

static const char *const dialects[] = {"function_call", "python", "json", "functiongemma", "gemma4"};

/* --- Schemas ------------------------------------------------------------------------------ */

typedef struct maker {
    bezel_tree *tree;
    bz_rng *rng;
} maker;

static size_t below(maker *m, size_t n)
{
    return (size_t)(bz_rng_next(m->rng) % n);
}

static void set_integer(maker *m, bezel_value *map, const char *key, int64_t x)
{
    bezel_value_set(m->tree, map, key, bezel_tree_integer(m->tree, x));
}

static void set_text(maker *m, bezel_value *map, const char *key, const char *text)
{
    bezel_value_set(m->tree, map, key, bezel_tree_text(m->tree, text, SIZE_MAX));
}

static bezel_value *typed(maker *m, const char *type)
{
    bezel_value *map = bezel_tree_map(m->tree);
    set_text(m, map, "type", type);
    return map;
}

static bezel_value *make_string(maker *m)
{
    static const char *const patterns[] = {"^[a-z]{2,5}$", "b+", "^(ab|cd)*$",    "^\\d{3}-\\w+$",
                                           "^.{1,3}$",     "x$", "^[^<>\"]+$", "^a?b{2,3}c*$"};
    static const char *const formats[] = {"date", "time", "date-time", "uuid", "ipv4", "email"};
    bezel_value *map = typed(m, "string");
    const size_t kind = below(m, 4);
    if (kind == 0)
        set_text(m, map, "pattern", patterns[below(m, sizeof patterns / sizeof *patterns)]);
    if (kind == 1)
        set_text(m, map, "format", formats[below(m, sizeof formats / sizeof *formats)]);
    if (kind == 2) {
        const size_t low = below(m, 4);
        set_integer(m, map, "minLength", (int64_t)low);
        set_integer(m, map, "maxLength", (int64_t)(low + below(m, 12)));
    }
    return map;
}

static bezel_value *make_number(maker *m, const char *type)
{
    bezel_value *map = typed(m, type);
    const int64_t low = (int64_t)below(m, 400) - 200;
    if (below(m, 2))
        set_integer(m, map, below(m, 2) ? "minimum" : "exclusiveMinimum", low);
    if (below(m, 2))
        set_integer(m, map, below(m, 2) ? "maximum" : "exclusiveMaximum", low + 20 + (int64_t)below(m, 1000));
    if (below(m, 4) == 0)
        bezel_value_set(m->tree, map, "multipleOf",
                        type[0] == 'n' ? bezel_tree_number(m->tree, below(m, 2) ? 0.5 : 0.25)
                                       : bezel_tree_integer(m->tree, 1 + (int64_t)below(m, 9)));
    return map;
}

static bezel_value *make_member(maker *m)
{
    static const char *const texts[] = {"a", "ab", "abc", "x \"y\"", "\xC3\xA9t\xC3\xA9", "line\nbreak", "", "C:\\"};
    switch (below(m, 6)) {
    case 0: return bezel_tree_integer(m->tree, (int64_t)below(m, 200) - 100);
    case 1: return bezel_tree_number(m->tree, (double)below(m, 100) / 8.0 + 0.125);
    case 2: return bezel_tree_bool(m->tree, (int32_t)below(m, 2));
    case 3: return bezel_tree_null(m->tree);
    default: return bezel_tree_text(m->tree, texts[below(m, sizeof texts / sizeof *texts)], SIZE_MAX);
    }
}

static bezel_value *make_enum(maker *m)
{
    static const char *const colours[] = {"red", "reddish", "blue", "b", ""};
    bezel_value *map = bezel_tree_map(m->tree), *list = bezel_tree_list(m->tree);
    for (size_t i = 0, n = 1 + below(m, 5); i < n; i++)
        bezel_value_append(m->tree, list, bezel_tree_text(m->tree, colours[i], SIZE_MAX));
    if (below(m, 3) == 0)
        bezel_value_append(m->tree, list, make_member(m));
    if (below(m, 4) == 0) {
        bezel_value *structure = bezel_tree_map(m->tree);
        set_integer(m, structure, "k", 1);
        bezel_value_append(m->tree, list, structure);
    }
    if (below(m, 5) == 0)
        bezel_value_set(m->tree, map, "const", make_member(m));
    else
        bezel_value_set(m->tree, map, "enum", list);
    return map;
}

static bezel_value *make_schema(maker *m, uint32_t depth);

/* Of some kinds there are three values only. */
static bezel_value *make_unique_item(maker *m)
{
    const char *type = below(m, 2) ? "integer" : "number";
    bezel_value *map = typed(m, type), *list = bezel_tree_list(m->tree);
    const int64_t low = (int64_t)below(m, 20) - 10;
    switch (below(m, 4)) {
    case 0: return typed(m, "string");
    case 1: return typed(m, "integer");
    case 2:
        set_integer(m, map, "minimum", low * 5);
        set_integer(m, map, "maximum", low * 5 + 10);
        set_integer(m, map, "multipleOf", 5);
        return map;
    default:
        map = bezel_tree_map(m->tree);
        for (size_t i = 0; i < 3; i++)
            bezel_value_append(m->tree, list, bezel_tree_integer(m->tree, low + (int64_t)i * 7));
        bezel_value_set(m->tree, map, "enum", list);
        return map;
    }
}

static bezel_value *make_array(maker *m, uint32_t depth)
{
    bezel_value *map = typed(m, "array");
    const int unique = below(m, 4) == 0;
    const size_t low = below(m, 3);
    bezel_value *item = unique ? make_unique_item(m) : make_schema(m, depth + 1);
    if (!unique && below(m, 4) == 0) {
        bezel_value *first = bezel_tree_list(m->tree);
        bezel_value_append(m->tree, first, make_schema(m, depth + 1));
        bezel_value_append(m->tree, first, make_schema(m, depth + 1));
        bezel_value_set(m->tree, map, "prefixItems", first);
    }
    bezel_value_set(m->tree, map, "items", item);
    set_integer(m, map, "minItems", (int64_t)low);
    set_integer(m, map, "maxItems", (int64_t)(low + below(m, 3)));
    if (unique)
        bezel_value_set(m->tree, map, "uniqueItems", bezel_tree_bool(m->tree, 1));
    return map;
}

static bezel_value *make_object(maker *m, uint32_t depth)
{
    bezel_value *map = typed(m, "object"), *properties = bezel_tree_map(m->tree), *required = bezel_tree_list(m->tree);
    const size_t n = below(m, 4), kind = below(m, 6);
    for (size_t i = 0; i < n; i++) {
        char name[32];
        snprintf(name, sizeof name, "%c%zu", 'a' + (char)below(m, 3), i);
        bezel_value_set(m->tree, properties, name, make_schema(m, depth + 1));
        if (below(m, 2))
            bezel_value_append(m->tree, required, bezel_tree_text(m->tree, name, SIZE_MAX));
    }
    bezel_value_set(m->tree, map, "properties", properties);
    bezel_value_set(m->tree, map, "required", required);
    if (kind == 0)
        bezel_value_set(m->tree, map, "additionalProperties", bezel_tree_bool(m->tree, 0));
    if (kind == 1 && depth > 0)
        bezel_value_set(m->tree, map, "additionalProperties", typed(m, "boolean"));
    if (kind == 2 && n > 0)
        set_integer(m, map, "minProperties", 1);
    if (kind == 3 && depth > 0) {
        bezel_value *patterns = bezel_tree_map(m->tree);
        bezel_value_set(m->tree, patterns, "^k_[a-z]+$", typed(m, "integer"));
        bezel_value_set(m->tree, map, "patternProperties", patterns);
        bezel_value_set(m->tree, map, "additionalProperties", bezel_tree_bool(m->tree, 0));
    }
    return map;
}

static bezel_value *make_parts(maker *m, uint32_t depth)
{
    bezel_value *map = bezel_tree_map(m->tree), *list = bezel_tree_list(m->tree);
    if (below(m, 3) == 0) { /* allOf: ranges of one number */
        bezel_value *low = typed(m, "integer"), *high = bezel_tree_map(m->tree);
        set_integer(m, low, "minimum", (int64_t)below(m, 50));
        set_integer(m, high, "maximum", 60 + (int64_t)below(m, 50));
        bezel_value_append(m->tree, list, low);
        bezel_value_append(m->tree, list, high);
        bezel_value_set(m->tree, map, "allOf", list);
        return map;
    }
    for (size_t i = 0, n = 1 + below(m, 3); i < n; i++)
        bezel_value_append(m->tree, list, make_schema(m, depth + 1));
    bezel_value_set(m->tree, map, "anyOf", list);
    return map;
}

static bezel_value *make_schema(maker *m, uint32_t depth)
{
    bezel_value *map;
    switch (below(m, depth < 3 ? 13 : 6)) {
    case 0:
    case 1: return make_string(m);
    case 2: return make_number(m, "integer");
    case 3: return make_number(m, "number");
    case 4: return make_enum(m);
    case 5: return typed(m, below(m, 3) ? "boolean" : "null");
    case 6:
    case 7: return make_array(m, depth);
    case 8:
    case 9: return make_object(m, depth);
    case 10: return make_parts(m, depth);
    case 11:
        map = bezel_tree_map(m->tree);
        set_text(m, map, "$ref", "#/$defs/tree");
        return map;
    default:
        map = bezel_tree_map(m->tree);
        if (below(m, 2)) {
            bezel_value *types = bezel_tree_list(m->tree);
            bezel_value_append(m->tree, types, bezel_tree_text(m->tree, "integer", SIZE_MAX));
            bezel_value_append(m->tree, types, bezel_tree_text(m->tree, below(m, 2) ? "null" : "string", SIZE_MAX));
            bezel_value_set(m->tree, map, "type", types);
        }
        return map; /* any value */
    }
}

static const char tree_schema[] = "{\"tree\":{\"type\":\"object\",\"properties\":{\"v\":{\"type\":\"integer\",\"minimum\":0},"
                                  "\"kids\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/tree\"},\"maxItems\":2}},"
                                  "\"required\":[\"v\"],\"additionalProperties\":false}}";

static bezel_value *make_tools(maker *m)
{
    static const char *const names[MOST_TOOLS] = {"get_time", "get_timer", "math.hypot", "say"};
    bezel_value *list = bezel_tree_list(m->tree);
    for (size_t i = 0, n = 1 + below(m, MOST_TOOLS); i < n; i++) {
        bezel_value *tool = bezel_tree_map(m->tree), *parameters = make_object(m, 0), *defs = NULL;
        ck_assert_int_eq(bezel_json_read(&defs, m->tree, tree_schema, sizeof tree_schema - 1, NULL), BEZEL_OK);
        bezel_value_set(m->tree, parameters, "$defs", defs);
        set_text(m, tool, "name", names[i]);
        bezel_value_set(m->tree, tool, "parameters", parameters);
        bezel_value_append(m->tree, list, tool);
    }
    return list;
}

/* --- Answers ------------------------------------------------------------------------------ */

/* Every token by itself against the mask; and what is forced goes with each that is legal. */
static void check_mask(walk *w, const int32_t *forced, size_t n_forced)
{
    const bz_vocab *v = w->model->vocab;
    const bz_call_form *f = w->constraint->form;
    char ahead[1024];
    size_t n_ahead = 0, count = 0, size;
    for (size_t i = 0; i < n_forced; i++) {
        const uint8_t *bytes = bz_vocab_trie_token(w->constraint->trie, forced[i], &size);
        ck_assert(bytes != NULL && n_ahead + size < sizeof ahead);
        memcpy(ahead + n_ahead, bytes, size);
        n_ahead += size;
    }
    const size_t expected = bz_token_mask_fill(&w->mask, &w->state);
    for (size_t id = 0; id < bz_vocab_size(v); id++) {
        bz_call_state next;
        if (bz_vocab_is_end(v, (int32_t)id))
            continue;
        bz_call_copy(&next, &w->state);
        const int legal = bz_token_mask_accepts(&w->mask, &next, (int32_t)id);
        ck_assert_msg(legal == bz_token_mask_has(&w->mask, (int32_t)id), "token %zu after %s", id, bz_strbuf_cstr(&w->text));
        count += (size_t)legal;
        const uint8_t *bytes = legal ? bz_vocab_trie_token(w->constraint->trie, (int32_t)id, &size) : NULL;
        if (bytes != NULL && n_forced > 0)
            ck_assert_msg(memcmp(bytes, ahead, size < n_ahead ? size : n_ahead) == 0, "%.*s was forced after %s", (int)n_ahead, ahead,
                          bz_strbuf_cstr(&w->text));
    }
    ck_assert_uint_eq(count, expected);
    ck_assert_msg(count > 0 || bz_call_can_end(&w->state, f) || w->state.n_made > 0, "no way on after %s", bz_strbuf_cstr(&w->text));
    w->out->n_states++;
}

static int32_t end_token(const walk *w)
{
    return w->constraint->ends[0];
}

static void take(walk *w, int32_t id)
{
    size_t size;
    bz_call_state before;
    bz_call_copy(&before, &w->state);
    ck_assert_msg(bz_constraint_run_take(w->run, id), "token %d is refused after %s", (int)id, bz_strbuf_cstr(&w->text));
    if (!bz_token_mask_accepts(&w->mask, &w->state, id)) { /* every way on repeats a call: then it may */
        bz_call_copy(&w->state, &before);
        ck_assert_uint_gt(w->state.n_made, 0);
        w->state.n_made = 0;
        ck_assert_msg(bz_token_mask_accepts(&w->mask, &w->state, id), "token %d came after %s", (int)id, bz_strbuf_cstr(&w->text));
    }
    const uint8_t *bytes = bz_vocab_trie_token(w->constraint->trie, id, &size);
    bz_strbuf_add(&w->text, (const char *)bytes, size);
}

/* Random logits, the best legal token; closing marks are liked so that texts end. */
static int32_t pick(walk *w)
{
    const size_t V = bz_vocab_size(w->model->vocab);
    size_t best = 0, size;
    for (size_t i = 0; i < V; i++) {
        const uint8_t *bytes = bz_vocab_trie_token(w->constraint->trie, (int32_t)i, &size);
        const int closes = bytes != NULL && size <= 2 && strchr("\")}]>", bytes[size - 1]) != NULL;
        w->logits[i] = (float)bz_rng_unit(&w->rng) + (closes ? 0.5F : 0.0F);
    }
    bz_constraint_run_mask(w->run, w->logits, V);
    for (size_t i = 1; i < V; i++)
        best = w->logits[i] > w->logits[best] ? i : best;
    ck_assert_msg(w->logits[best] > -FLT_MAX, "no legal token after %s", bz_strbuf_cstr(&w->text));
    return (int32_t)best;
}

/* 1 when the answer came to its end. */
static int answer(walk *w)
{
    for (size_t n = 0; n < MOST_TOKENS;) {
        bz_constraint_plan plan;
        bezel_error err = BEZEL_ERROR_INIT;
        size_t n_forced = 0;
        const int32_t *forced = NULL;
        ck_assert_msg(bz_constraint_run_plan(&plan, w->run, (int)(n % 7 != 6), SIZE_MAX, &err) == BEZEL_OK, "%s after %s of %s", err.text,
                      bz_strbuf_cstr(&w->text), w->schemas);
        if (plan == BZ_PLAN_FORCED)
            forced = bz_constraint_run_forced(w->run, &n_forced);
        if (plan != BZ_PLAN_END && plan != BZ_PLAN_NEXT && bz_rng_next(&w->rng) % w->mask_every == 0)
            check_mask(w, forced, n_forced);
        ck_assert(plan != BZ_PLAN_FREE);
        if (plan == BZ_PLAN_END || (plan == BZ_PLAN_NEXT && bz_rng_next(&w->rng) % 2))
            return 1;
        for (size_t i = 0; i < n_forced; i++, n++)
            take(w, forced[i]);
        w->out->n_forced += n_forced;
        if (n_forced == 0) {
            const int32_t id = plan == BZ_PLAN_NEXT && bz_call_can_end(&w->state, w->constraint->form) ? end_token(w) : pick(w);
            if (bz_vocab_is_end(w->model->vocab, id))
                return 1;
            take(w, id);
            w->out->n_sampled++;
            n++;
        }
    }
    return 0;
}

/* The calls of an answer: readable, valid, few enough, none twice. */
static void check_answer(const walk *w, const bezel_value *list)
{
    bezel_toolset *tools = NULL;
    bezel_parser *p = NULL;
    bezel_tree *tree = NULL;
    bezel_value *result = NULL;
    char *shown = NULL;
    bezel_engine *engine = bezel_model_engine(w->model);
    ck_assert_int_eq(bezel_toolset_new(&tools, engine, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_toolset_add_list(tools, list, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_parser_new(&p, tools, 0, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_parser_push(p, bz_strbuf_cstr(&w->text), w->text.size, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_parser_finish(p, BEZEL_STOPPED_END, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_tree_new(&tree, engine, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_parser_result(&result, tree, p, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_json_write(&shown, NULL, engine, result, 0, NULL), BEZEL_OK);
    const bezel_value *calls = bezel_value_get(result, "calls");
    const size_t n = bezel_value_count(calls);
    ck_assert_msg(n >= 1 && n <= RANDOM_FORMS_CALLS && bezel_value_count(bezel_value_get(result, "errors")) == 0, "%s\n%s\n%s", w->schemas,
                  bz_strbuf_cstr(&w->text), shown);
    bezel_text_free(engine, shown);
    bezel_tree_free(tree);
    bezel_parser_free(p);
    bezel_toolset_free(tools);
}

static void write_one(walk *w, size_t i)
{
    bezel_tree *tree = NULL;
    bezel_constraint_options o;
    bezel_generate_options g;
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_constraint_function functions[MOST_TOOLS];
    ck_assert_int_eq(bezel_tree_new(&tree, bezel_model_engine(w->model), NULL), BEZEL_OK);
    maker m = {tree, &w->rng};
    const bezel_value *list = make_tools(&m);
    ck_assert_int_eq(bezel_tree_status(tree), BEZEL_OK);
    ck_assert_int_eq(bezel_json_write(&w->schemas, NULL, bezel_model_engine(w->model), list, 0, NULL), BEZEL_OK);
    bezel_constraint_options_init(&o);
    o.n_functions = bezel_value_count(list);
    for (size_t k = 0; k < o.n_functions; k++)
        functions[k] = (bezel_constraint_function){bezel_value_text(bezel_value_get(bezel_value_at(list, k), "name"), NULL),
                                                   bezel_value_get(bezel_value_at(list, k), "parameters")};
    o.functions = functions;
    o.dialect = dialects[i % 5];
    o.any_order = (uint32_t)(i / 5 % 2);
    o.max_calls = RANDOM_FORMS_CALLS;
    o.max_string = 24;
    o.max_items = 3;
    if (bezel_constraint_new(&w->constraint, w->model, &o, &err) != BEZEL_OK)
        ck_abort_msg("%s", err.text);
    bezel_generate_options_init(&g);
    g.constraint = w->constraint;
    g.calls = BEZEL_CALLS_REQUIRED;
    ck_assert_int_eq(bz_constraint_run_new(&w->run, w->constraint->world, &g, -1, NULL), BEZEL_OK);
    ck_assert_int_eq(bz_token_mask_init(&w->mask, w->constraint->world, w->constraint->form, w->constraint->trie, w->model->vocab,
                                        &w->constraint->marks, NULL),
                     BEZEL_OK);
    bz_call_start(&w->state, w->constraint->form, 0, NULL);
    bz_strbuf_reset(&w->text);
    if (answer(w))
        check_answer(w, list);
    else
        w->out->n_unfinished++;
    w->out->n_answers++;
    bz_token_mask_free(&w->mask, w->constraint->world);
    bz_constraint_run_free(w->run);
    bezel_constraint_free(w->constraint);
    bezel_text_free(bezel_model_engine(w->model), w->schemas);
    bezel_tree_free(tree);
}

void random_forms_run(random_forms *out, bezel_model *model, uint64_t seed, size_t n, size_t n_masks)
{
    walk w = {.out = out, .model = model, .mask_every = n_masks == 0 ? UINT64_MAX : 1 + 30 * (uint64_t)n / n_masks};
    *out = (random_forms){0};
    w.logits = calloc(bz_vocab_size(model->vocab), sizeof *w.logits);
    bz_strbuf_init(&w.text, bezel_engine_world(bezel_model_engine(model)), 0);
    for (size_t i = 0; i < n; i++) {
        bz_rng_seed(&w.rng, seed + i);
        write_one(&w, i);
    }
    bz_strbuf_free(&w.text);
    free(w.logits);
}

size_t random_forms_count(const char *variable, size_t otherwise)
{
    const char *text = getenv(variable);
    return text != NULL ? (size_t)strtoul(text, NULL, 10) : otherwise;
}
