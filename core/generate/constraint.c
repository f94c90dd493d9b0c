/* SPDX-License-Identifier: MIT */
/* bezel_constraint: options to a compiled form. A dialect's control tokens are looked up here; those that the vocabulary lacks
 * are spelled, and a string cannot hold what closes it then. */
#include "generate/constraint_impl.h"

#include "base/alloc.h"
#include "base/options.h"
#include "base/status.h"
#include "base/strbuf.h"
#include "base/utf8.h"
#include "model/model_impl.h"

#include <string.h>

enum { CONSTRAINT_FUNCTIONS = 1024, CONSTRAINT_CHOICES = 4096, CONSTRAINT_CALLS_MOST = 16, CONSTRAINT_STRING_MOST = 1000000,
       CONSTRAINT_ITEMS_MOST = 10000, CONSTRAINT_ENDS = 64 };

/* What the marks of a dialect are in a vocabulary that has them. */
static const struct constraint_marks {
    const char *dialect, *open, *close, *string;
} constraint_marks[] = {
    {"functiongemma", "<start_function_call>", "<end_function_call>", "<escape>"},
    {"gemma4", "<|tool_call>", "<tool_call|>", "<|\"|>"},
};

void bezel_constraint_options_init(bezel_constraint_options *out)
{
    *out = (bezel_constraint_options){.size = (uint32_t)sizeof *out,
                                      .kind = BEZEL_CONSTRAINT_CALLS,
                                      .dialect = "function_call",
                                      .max_calls = 8,
                                      .max_string = 512,
                                      .max_items = 32};
}

/* ---- checks ----------------------------------------------------------------------------------------------------------- */

static bezel_status constraint_range(const char *name, uint32_t value, uint32_t most, bezel_error *err)
{
    if (value >= 1 && value <= most)
        return BEZEL_OK;
    return bz_fail(err, BEZEL_ERR_RANGE, "constraint", "%s is %u, expected 1 to %u", name, (unsigned)value, (unsigned)most);
}

bezel_status bz_choices_check(const char *const *choices, size_t n, bezel_error *err)
{
    if (choices == NULL || n == 0 || n > CONSTRAINT_CHOICES)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "constraint", "n_choices is %zu, expected 1 to %d texts in choices", n,
                       CONSTRAINT_CHOICES);
    for (size_t i = 0; i < n; i++) {
        const char *text = choices[i];
        if (text == NULL || text[0] == '\0' || !bz_utf8_valid(text, strlen(text)))
            return bz_fail(err, BEZEL_ERR_ARGUMENT, "constraint", "choice %zu is %s", i,
                           text == NULL ? "NULL" : text[0] == '\0' ? "empty" : "not valid UTF-8");
        for (size_t k = 0; k < i; k++)
            if (strcmp(choices[k], text) == 0)
                return bz_fail(err, BEZEL_ERR_ARGUMENT, "constraint", "choices %zu and %zu are both \"%.60s\"", k, i, text);
    }
    return BEZEL_OK;
}

static bezel_status constraint_check(const bezel_constraint_options *o, bezel_error *err)
{
    bezel_status status = constraint_range("max_calls", o->max_calls, CONSTRAINT_CALLS_MOST, err);
    if (status == BEZEL_OK)
        status = constraint_range("max_string", o->max_string, CONSTRAINT_STRING_MOST, err);
    if (status == BEZEL_OK)
        status = constraint_range("max_items", o->max_items, CONSTRAINT_ITEMS_MOST, err);
    if (status != BEZEL_OK)
        return status;
    if (bz_call_dialect_find(o->dialect) == NULL)
        return bz_error_hint(err,
                             bz_fail(err, BEZEL_ERR_ARGUMENT, "constraint", "there is no dialect \"%.40s\"",
                                     o->dialect != NULL ? o->dialect : "NULL"),
                             "function_call, python, json, functiongemma or gemma4");
    if (o->kind == BEZEL_CONSTRAINT_CHOICE)
        return bz_choices_check(o->choices, o->n_choices, err);
    if (o->kind == BEZEL_CONSTRAINT_JSON)
        return o->schema != NULL ? BEZEL_OK : bz_fail(err, BEZEL_ERR_ARGUMENT, "constraint", "schema is NULL");
    if (o->kind != BEZEL_CONSTRAINT_CALLS)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "constraint", "kind is %u, expected one of BEZEL_CONSTRAINT_...",
                       (unsigned)o->kind);
    if (o->functions == NULL || o->n_functions == 0 || o->n_functions > CONSTRAINT_FUNCTIONS)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "constraint", "n_functions is %zu, expected 1 to %d in functions", o->n_functions,
                       CONSTRAINT_FUNCTIONS);
    for (size_t i = 0; i < o->n_functions; i++)
        if (o->functions[i].name == NULL || o->functions[i].name[0] == '\0')
            return bz_fail(err, BEZEL_ERR_ARGUMENT, "constraint", "function %zu has no name", i);
    return BEZEL_OK;
}

/* ---- dialect ---------------------------------------------------------------------------------------------------------- */

/* Replaces marks that the vocabulary cannot write as one token by their spelling, in memory of the arena. */
static const char *constraint_spell(bz_arena *arena, const char *text, const struct constraint_marks *spelling,
                                    const bz_token_marks *marks)
{
    bz_strbuf b;
    bz_strbuf_init(&b, arena->world, 0);
    for (; *text != '\0'; text++) {
        const uint8_t c = (uint8_t)*text;
        if (c == BZ_CALL_MARK_OPEN && marks->open < 0)
            bz_strbuf_text(&b, spelling->open);
        else if (c == BZ_CALL_MARK_CLOSE && marks->close < 0)
            bz_strbuf_text(&b, spelling->close);
        else if (c == BZ_CALL_MARK_STRING && marks->string < 0)
            bz_strbuf_text(&b, spelling->string);
        else
            bz_strbuf_char(&b, *text);
    }
    const char *out = b.status == BEZEL_OK ? bz_arena_text(arena, bz_strbuf_cstr(&b), b.size) : NULL;
    bz_strbuf_free(&b);
    return out;
}

/* A copy of the row with marks as this vocabulary has them; 0 without memory. */
static int constraint_dialect(bz_call_dialect *out, bezel_constraint *c, const char *name)
{
    const bz_vocab *v = c->model->vocab;
    *out = *bz_call_dialect_find(name);
    c->marks = (bz_token_marks){-1, -1, -1};
    for (size_t i = 0; i < sizeof constraint_marks / sizeof *constraint_marks; i++) {
        const struct constraint_marks *row = &constraint_marks[i];
        if (strcmp(row->dialect, name) != 0)
            continue;
        c->marks = (bz_token_marks){bz_vocab_find(v, row->open, strlen(row->open)),
                                    bz_vocab_find(v, row->close, strlen(row->close)),
                                    bz_vocab_find(v, row->string, strlen(row->string))};
        out->call_open = constraint_spell(&c->arena, out->call_open, row, &c->marks);
        out->args_close = constraint_spell(&c->arena, out->args_close, row, &c->marks);
        out->string_open = constraint_spell(&c->arena, out->string_open, row, &c->marks);
        out->string_close = constraint_spell(&c->arena, out->string_close, row, &c->marks);
    }
    return out->call_open != NULL && out->args_close != NULL && out->string_open != NULL && out->string_close != NULL;
}

/* ---- making ----------------------------------------------------------------------------------------------------------- */

typedef struct constraint_schemas {
    bz_call_function *functions;
    bz_schema **schemas;
    size_t n;
} constraint_schemas;

typedef struct constraint_warning {
    bezel_constraint *constraint;
    const char *what;
} constraint_warning;

static void constraint_warn(void *ud, const char *path, const char *keyword, const char *reason)
{
    const constraint_warning *w = ud;
    bz_notes_add(&w->constraint->notes, "constraint", "%s: %s: %s: %s", w->what, path, keyword, reason);
}

static void constraint_warn_form(void *ud, const char *what, const char *path, const char *keyword, const char *reason)
{
    bezel_constraint *c = ud;
    bz_notes_add(&c->notes, "constraint", "%s: %s: %s: %s", what, path, keyword, reason);
}

static bezel_status constraint_schema(constraint_schemas *s, bezel_constraint *c, const char *name, const bezel_value *value,
                                      int closed, bezel_error *err)
{
    constraint_warning ud = {c, name};
    const bz_schema_source source = {value, name, closed, constraint_warn, &ud};
    const bezel_status status = bz_schema_new(&s->schemas[s->n], c->model->engine, &source, err);
    if (status != BEZEL_OK)
        return status;
    s->functions[s->n] = (bz_call_function){name, s->schemas[s->n]};
    s->n++;
    return BEZEL_OK;
}

static bezel_status constraint_schemas_new(constraint_schemas *s, bezel_constraint *c, const bezel_constraint_options *o,
                                           bezel_error *err)
{
    const size_t n = o->kind == BEZEL_CONSTRAINT_CALLS ? o->n_functions : 1;
    s->functions = bz_zalloc_array(c->world, n, sizeof *s->functions);
    s->schemas = bz_zalloc_array(c->world, n, sizeof *s->schemas);
    if (s->functions == NULL || s->schemas == NULL)
        return bz_fail_memory(err, "constraint", "the schemas", n * (sizeof *s->functions + sizeof *s->schemas));
    if (o->kind == BEZEL_CONSTRAINT_JSON)
        return constraint_schema(s, c, "answer", o->schema, 0, err);
    for (size_t i = 0; o->kind == BEZEL_CONSTRAINT_CALLS && i < n; i++) {
        const bezel_status status = constraint_schema(s, c, o->functions[i].name, o->functions[i].parameters, 1, err);
        if (status != BEZEL_OK)
            return status;
    }
    return BEZEL_OK;
}

static void constraint_schemas_free(constraint_schemas *s, const bezel_world *w)
{
    for (size_t i = 0; i < s->n; i++)
        bz_schema_free(s->schemas[i]);
    bz_free(w, s->schemas);
    bz_free(w, s->functions);
}

static bezel_status constraint_build(bezel_constraint *c, const bezel_constraint_options *o, bezel_error *err)
{
    bz_call_dialect dialect;
    constraint_schemas schemas = {NULL, NULL, 0};
    bezel_status status = constraint_dialect(&dialect, c, o->kind == BEZEL_CONSTRAINT_CALLS ? o->dialect : "json")
                              ? BEZEL_OK
                              : bz_fail_memory(err, "constraint", "the dialect", c->arena.used);
    if (status == BEZEL_OK)
        status = constraint_schemas_new(&schemas, c, o, err);
    if (status == BEZEL_OK) {
        const bz_call_source source = {
            .dialect = &dialect,
            .root = o->kind == BEZEL_CONSTRAINT_CALLS  ? BZ_CALL_ROOT_CALLS
                    : o->kind == BEZEL_CONSTRAINT_JSON ? BZ_CALL_ROOT_VALUE
                                                       : BZ_CALL_ROOT_CHOICE,
            .functions = schemas.functions,
            .n_functions = schemas.n,
            .value = schemas.n > 0 ? schemas.schemas[0] : NULL,
            .choices = o->choices,
            .n_choices = o->n_choices,
            .any_order = o->any_order,
            .max_calls = o->max_calls,
            .max_string = o->max_string,
            .max_items = o->max_items,
            .warn = constraint_warn_form,
            .ud = c,
        };
        status = bz_call_form_new(&c->form, c->world, &source, err);
    }
    if (status == BEZEL_OK && o->kind == BEZEL_CONSTRAINT_JSON) {
        c->schema = schemas.schemas[0];
        schemas.n = 0;
    }
    constraint_schemas_free(&schemas, c->world);
    return status;
}

static bezel_status constraint_find_ends(bezel_constraint *c, bezel_error *err)
{
    const bz_vocab *v = c->model->vocab;
    int32_t first[CONSTRAINT_ENDS];
    for (size_t id = 0; id < bz_vocab_size(v); id++)
        if (bz_vocab_is_end(v, (int32_t)id) && c->n_ends++ < CONSTRAINT_ENDS)
            first[c->n_ends - 1] = (int32_t)id;
    c->n_ends = c->n_ends < CONSTRAINT_ENDS ? c->n_ends : CONSTRAINT_ENDS;
    c->ends = bz_zalloc_array(c->world, c->n_ends + 1, sizeof *c->ends);
    if (c->ends == NULL)
        return bz_fail_memory(err, "constraint", "end tokens", (c->n_ends + 1) * sizeof *c->ends);
    memcpy(c->ends, first, c->n_ends * sizeof *c->ends);
    return BEZEL_OK;
}

bezel_status bezel_constraint_new(bezel_constraint **out, bezel_model *model, const bezel_constraint_options *options,
                                  bezel_error *err)
{
    bezel_constraint_options o;
    if (out == NULL || model == NULL)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "constraint", "%s is NULL", out == NULL ? "out" : "model");
    *out = NULL;
    bezel_constraint_options_init(&o);
    bezel_status status = bz_options_read(&o, sizeof o, options, "constraint", err);
    if (status == BEZEL_OK)
        status = constraint_check(&o, err);
    if (status != BEZEL_OK)
        return status;
    const bezel_world *w = &model->engine->world;
    bezel_constraint *c = bz_zalloc(w, sizeof *c);
    if (c == NULL)
        return bz_fail_memory(err, "constraint", "the constraint", sizeof *c);
    c->model = model;
    c->world = w;
    bz_notes_init(&c->notes, w, NULL);
    bz_arena_init(&c->arena, w, 0);
    status = constraint_build(c, &o, err);
    if (status == BEZEL_OK)
        status = constraint_find_ends(c, err);
    if (status == BEZEL_OK)
        status = bz_model_trie(&c->trie, model, err);
    if (status != BEZEL_OK)
        bezel_constraint_free(c);
    else
        *out = c;
    return status;
}

void bezel_constraint_free(bezel_constraint *constraint)
{
    if (constraint == NULL)
        return;
    bz_call_form_free(constraint->form);
    bz_schema_free(constraint->schema);
    bz_arena_free(&constraint->arena);
    bz_notes_free(&constraint->notes);
    bz_free(constraint->world, constraint->ends);
    bz_free(constraint->world, constraint);
}

size_t bezel_constraint_warning_count(const bezel_constraint *constraint)
{
    return constraint != NULL ? constraint->notes.count : 0;
}

const char *bezel_constraint_warning(const bezel_constraint *constraint, size_t i)
{
    return constraint != NULL && i < constraint->notes.count ? constraint->notes.texts[i] : NULL;
}

bezel_status bezel_constraint_read(bezel_value **out, bezel_tree *tree, const bezel_constraint *constraint, const char *text,
                                   size_t size, bezel_error *err)
{
    bezel_value *value = NULL;
    if (out == NULL || tree == NULL || constraint == NULL || text == NULL)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "constraint", "out, tree, constraint or text is NULL");
    *out = NULL;
    if (constraint->schema == NULL)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "constraint", "it is none of a JSON answer");
    const bezel_status read = bezel_json_read(&value, tree, text, size == SIZE_MAX ? strlen(text) : size, err);
    if (read != BEZEL_OK)
        return read;
    bz_arena arena;
    bz_schema_check check;
    memset(&check, 0, sizeof check);
    check.schema = constraint->schema;
    check.tree = tree;
    bz_arena_init(&arena, constraint->world, 0);
    const bezel_status status = bz_schema_apply_value(out, &check, 0, &arena, value);
    bz_arena_free(&arena);
    if (status == BEZEL_ERR_PARSE)
        return bz_error_place(err, bz_fail(err, status, "constraint", "the answer %s", check.problem.text), "%s",
                              check.problem.parameter);
    return status == BEZEL_OK ? status : bz_fail_memory(err, "constraint", "the answer", size);
}
