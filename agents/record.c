/* SPDX-License-Identifier: MIT */
/* Records what a session's model and tools answered, and plays it again; the form is in record.h. */
#include "record.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include <bezel/chat.h>
#include <bezel/engine.h>

#include "base/alloc.h"

struct bz_record {
    bezel_engine *engine;
    const bezel_world *world;
    char *path;
    int plays;
    bezel_tree *tree; /* playing: everything; recording: the call that runs */
    /* recording */
    bezel_file *file;
    uint64_t size; /* bytes written */
    bezel_error failed; /* status < 0: the file could not be written */
    const bz_turn_source *inner;
    bezel_value *call, *pieces; /* of the call that runs, or NULL */
    bezel_status ended;
    bezel_error why;
    /* playing */
    const bezel_value *lines; /* list of maps */
    uint32_t n_ctx;
    unsigned char *used;      /* [lines] a tool's line was played */
    size_t at;                /* next line that may be a call */
    const bezel_value *played;
    size_t piece;
    int is_ready; /* a piece waits */
    atomic_int cancelled;
    void *arrays[4]; /* of the generation given */
    bz_record_say say;
};

/* --- Numbers of a generation -------------------------------------------------------------- */

typedef struct record_number {
    const char *key;
    size_t at;
    char type; /* u(int32), i(nt32), z (size_t), n (uint64), l (int64) */
} record_number;

#define NUMBER(field, type) {#field, offsetof(bezel_generation, field), type}
static const record_number numbers[] = {
    NUMBER(stop_reason, 'u'), NUMBER(stop_index, 'i'),     NUMBER(n_prompt, 'z'),   NUMBER(n_cached, 'z'),
    NUMBER(n_forced, 'z'),    NUMBER(n_drafted, 'n'),      NUMBER(n_accepted, 'n'), NUMBER(n_top, 'u'),
    NUMBER(prompt_us, 'l'),   NUMBER(first_token_us, 'l'), NUMBER(total_us, 'l'),
};

static int64_t number_get(const bezel_generation *g, const record_number *n)
{
    const char *field = (const char *)g + n->at;
    switch (n->type) {
    case 'u': return *(const uint32_t *)(const void *)field;
    case 'i': return *(const int32_t *)(const void *)field;
    case 'z': return (int64_t)*(const size_t *)(const void *)field;
    case 'n': return (int64_t)*(const uint64_t *)(const void *)field;
    default: return *(const int64_t *)(const void *)field;
    }
}

static void number_set(bezel_generation *g, const record_number *n, int64_t x)
{
    char *field = (char *)g + n->at;
    switch (n->type) {
    case 'u': *(uint32_t *)(void *)field = (uint32_t)x; break;
    case 'i': *(int32_t *)(void *)field = (int32_t)x; break;
    case 'z': *(size_t *)(void *)field = (size_t)x; break;
    case 'n': *(uint64_t *)(void *)field = (uint64_t)x; break;
    default: *(int64_t *)(void *)field = x; break;
    }
}

static void set_integer(bezel_tree *t, bezel_value *map, const char *key, int64_t x)
{
    bezel_value_set(t, map, key, bezel_tree_integer(t, x));
}

static void set_text(bezel_tree *t, bezel_value *map, const char *key, const char *text)
{
    if (text)
        bezel_value_set(t, map, key, bezel_tree_text(t, text, SIZE_MAX));
}

/* JSON has no number that is not finite: it is null. */
static bezel_value *number_or_null(bezel_tree *t, double x)
{
    return isfinite(x) ? bezel_tree_number(t, x) : bezel_tree_null(t);
}

static void set_ids(bezel_tree *t, bezel_value *map, const char *key, const int32_t *ids, size_t n)
{
    if (!ids)
        return;
    bezel_value *list = bezel_tree_list(t);
    for (size_t i = 0; i < n; i++)
        bezel_value_append(t, list, bezel_tree_integer(t, ids[i]));
    bezel_value_set(t, map, key, list);
}

static void set_floats(bezel_tree *t, bezel_value *map, const char *key, const float *x, size_t n)
{
    if (!x)
        return;
    bezel_value *list = bezel_tree_list(t);
    for (size_t i = 0; i < n; i++)
        bezel_value_append(t, list, number_or_null(t, (double)x[i]));
    bezel_value_set(t, map, key, list);
}

/* --- Writing ------------------------------------------------------------------------------ */

static bezel_status record_fail(const bz_record *r, bezel_status st, const char *what, bezel_error *err)
{
    bz_fail(err, st, "record", "%s (%s)", what, bezel_status_name(st));
    return bz_error_place(err, st, "%s", r->path);
}

static bezel_status record_line(bz_record *r, bezel_tree *tree, const bezel_value *line, bezel_error *err)
{
    char *text = NULL;
    size_t size = 0;
    bezel_status st = bezel_tree_status(tree);
    if (st == BEZEL_OK && !line)
        st = BEZEL_ERR_MEMORY;
    if (st == BEZEL_OK)
        st = bezel_json_write(&text, &size, r->engine, line, 0, err);
    if (st == BEZEL_OK) {
        text[size] = '\n'; /* in place of the NUL */
        st = r->world->file_write(r->world->ud, r->file, r->size, text, size + 1);
        r->size += st == BEZEL_OK ? size + 1 : 0;
    }
    bezel_text_free(r->engine, text);
    if (st == BEZEL_OK)
        return BEZEL_OK;
    record_fail(r, st, "the recording cannot be written", err);
    record_fail(r, st, "the recording could not be written", &r->failed);
    r->failed.status = st;
    return st;
}

static bezel_value *record_options(bezel_tree *t, const bezel_generate_options *o)
{
    bezel_value *map = bezel_tree_map(t), *stops = bezel_tree_list(t);
    set_integer(t, map, "max_tokens", o->max_tokens);
    char seed[24];
    uint64_t rest = o->sampling.seed;
    size_t i = sizeof seed - 1;
    seed[i] = 0;
    do /* a text, because JSON's integers end at 2^53 */
        seed[--i] = (char)('0' + rest % 10);
    while ((rest /= 10) != 0);
    set_text(t, map, "seed", seed + i);
    bezel_value_set(t, map, "temperature", number_or_null(t, (double)o->sampling.temperature));
    set_integer(t, map, "top_k", o->sampling.top_k);
    bezel_value_set(t, map, "top_p", number_or_null(t, (double)o->sampling.top_p));
    bezel_value_set(t, map, "min_p", number_or_null(t, (double)o->sampling.min_p));
    bezel_value_set(t, map, "repetition_penalty", number_or_null(t, (double)o->sampling.repetition_penalty));
    bezel_value_set(t, map, "call_bias", number_or_null(t, (double)o->call_bias));
    for (uint32_t k = 0; k < o->n_stops; k++)
        bezel_value_append(t, stops, bezel_tree_text(t, o->stops[k], SIZE_MAX));
    bezel_value_set(t, map, "stops", stops);
    bezel_value_set(t, map, "is_constrained", bezel_tree_bool(t, o->constraint != NULL));
    return map;
}

static void record_generation(bezel_tree *t, bezel_value *call, const bezel_generation *g, const bz_record_say *say)
{
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        set_integer(t, call, numbers[i].key, number_get(g, &numbers[i]));
    set_ids(t, call, "ids", g->ids, g->n_ids);
    set_floats(t, call, "logprobs", g->logprobs, g->n_ids);
    set_ids(t, call, "top_ids", g->top_ids, g->n_ids * g->n_top);
    set_floats(t, call, "top_logprobs", g->top_logprobs, g->n_ids * g->n_top);
    bezel_value_set(t, call, "call_probability", number_or_null(t, g->call_probability));
    bezel_value_set(t, call, "name_probability", number_or_null(t, g->name_probability));
    if (say->fit_bias != 0)
        bezel_value_set(t, call, "fit_bias", number_or_null(t, (double)say->fit_bias));
    if (say->is_named)
        bezel_value_set(t, call, "is_named", bezel_tree_bool(t, 1));
}

/* The call that runs is over: its line. */
static void record_call_end(bz_record *r)
{
    if (!r->call)
        return;
    bezel_value *line = bezel_tree_map(r->tree);
    if (r->ended < 0) {
        set_text(r->tree, r->call, "code", bezel_status_name(r->ended));
        set_text(r->tree, r->call, "error", r->why.text);
    }
    bezel_value_set(r->tree, line, "call", r->call);
    if (r->failed.status == BEZEL_OK)
        record_line(r, r->tree, line, NULL); /* r->failed has it for the next call */
    r->call = r->pieces = NULL;
    bezel_tree_free(r->tree);
    r->tree = NULL;
}

static bezel_status record_start(void *ud, const bz_turn_request *q, bezel_error *err)
{
    bz_record *r = ud;
    if (r->failed.status != BEZEL_OK)
        return bz_error_copy(err, &r->failed);
    bezel_tree_free(r->tree);
    r->tree = NULL;
    bezel_status st = bezel_tree_new(&r->tree, r->engine, err);
    if (st != BEZEL_OK)
        return st;
    bezel_tree *t = r->tree;
    r->call = bezel_tree_map(t);
    r->pieces = bezel_tree_list(t);
    r->ended = BEZEL_OK;
    r->why = (bezel_error)BEZEL_ERROR_INIT;
    set_ids(t, r->call, "prompt", q->ids, q->n_ids);
    if (q->n_forced)
        set_ids(t, r->call, "forced", q->forced, q->n_forced);
    bezel_value_set(t, r->call, "options", record_options(t, q->options));
    bezel_value_set(t, r->call, "pieces", r->pieces);
    st = r->inner->start(r->inner->ud, q, &r->why);
    if (st < 0) {
        r->ended = st;
        bz_error_copy(err, &r->why);
        record_call_end(r);
    }
    return st;
}

static bezel_status record_step(void *ud, int64_t budget_us, bezel_error *err)
{
    bz_record *r = ud;
    bezel_error why = BEZEL_ERROR_INIT;
    bezel_status st = r->inner->step(r->inner->ud, budget_us, &why);
    if (st < 0) {
        r->ended = st;
        r->why = why;
        bz_error_copy(err, &why);
    }
    return st;
}

static int record_text(void *ud, const char **text, size_t *size)
{
    bz_record *r = ud;
    const int any = r->inner->text(r->inner->ud, text, size);
    if (any && r->call)
        bezel_value_append(r->tree, r->pieces, bezel_tree_text(r->tree, *text, *size));
    return any;
}

static bezel_status record_result(void *ud, bezel_generation *out, bezel_error *err)
{
    bz_record *r = ud;
    bezel_status st = r->inner->result(r->inner->ud, out, err);
    if (st == BEZEL_OK && r->call)
        record_generation(r->tree, r->call, out, &r->say);
    return st;
}

static int record_fd(void *ud) { return ((bz_record *)ud)->inner->fd(((bz_record *)ud)->inner->ud); }

static void record_cancel(void *ud) { ((bz_record *)ud)->inner->cancel(((bz_record *)ud)->inner->ud); }

static void record_end(void *ud)
{
    bz_record *r = ud;
    record_call_end(r);
    r->inner->end(r->inner->ud);
}

/* --- Playing ------------------------------------------------------------------------------ */

static bezel_status play_fail(const bz_record *r, bezel_status st, bezel_error *err)
{
    bz_error_hint(err, st, "record the session anew when the host asks for something else on purpose");
    return bz_error_place(err, st, "%s:%zu", r->path, r->at + 2); /* behind the head */
}

static bezel_status play_same(const bz_record *r, const bezel_value *list, const int32_t *ids, size_t n, const char *what,
                              bezel_error *err)
{
    const size_t count = bezel_value_count(list), least = count < n ? count : n;
    size_t i = 0;
    while (i < least && bezel_value_integer(bezel_value_at(list, i)) == ids[i])
        i++;
    if (i == count && i == n)
        return BEZEL_OK;
    bz_fail(err, BEZEL_ERR_MISSING, "record", "the %s differs from the recorded one at token %zu (%zu tokens, recorded %zu)", what, i,
            n, count);
    return play_fail(r, BEZEL_ERR_MISSING, err);
}

static bezel_status play_status(const bezel_value *map)
{
    const char *code = bezel_value_text(bezel_value_get(map, "code"), NULL);
    for (int st = -1; code[0] && st > -100; st--) {
        if (strcmp(bezel_status_name((bezel_status)st), code) == 0)
            return (bezel_status)st;
    }
    return code[0] ? BEZEL_ERR_INTERNAL : BEZEL_OK;
}

/* What the recording says about the end of a call, as an error. */
static bezel_status play_ended(const bz_record *r, bezel_error *err)
{
    const bezel_status st = play_status(r->played);
    if (st == BEZEL_OK)
        return BEZEL_DONE;
    return bz_fail(err, st, "record", "%s", bezel_value_text(bezel_value_get(r->played, "error"), NULL));
}

static void play_end(void *ud)
{
    bz_record *r = ud;
    for (size_t i = 0; i < sizeof r->arrays / sizeof r->arrays[0]; i++) {
        bz_free(r->world, r->arrays[i]);
        r->arrays[i] = NULL;
    }
    r->played = NULL;
    r->is_ready = 0;
}

/* The next line that is a call, from r->at on; NULL = none. */
static const bezel_value *play_next(bz_record *r)
{
    while (r->at < bezel_value_count(r->lines)) {
        const bezel_value *call = bezel_value_get(bezel_value_at(r->lines, r->at), "call");
        if (call)
            return call;
        r->at++;
    }
    return NULL;
}

static bezel_status play_start(void *ud, const bz_turn_request *q, bezel_error *err)
{
    bz_record *r = ud;
    play_end(r);
    const bezel_value *call = play_next(r);
    if (!call) {
        bz_fail(err, BEZEL_ERR_MISSING, "record", "the recording has no model call left");
        return play_fail(r, BEZEL_ERR_MISSING, err);
    }
    bezel_status st = play_same(r, bezel_value_get(call, "prompt"), q->ids, q->n_ids, "prompt", err);
    if (st == BEZEL_OK)
        st = play_same(r, bezel_value_get(call, "forced"), q->forced, q->n_forced, "forced beginning", err);
    if (st != BEZEL_OK)
        return st;
    r->at++;
    r->played = call;
    r->piece = 0;
    atomic_store(&r->cancelled, 0);
    const int is_begun = bezel_value_get(call, "stop_reason") || bezel_value_count(bezel_value_get(call, "pieces"));
    return is_begun || play_status(call) == BEZEL_OK ? BEZEL_OK : play_ended(r, err);
}

static bezel_status play_step(void *ud, int64_t budget_us, bezel_error *err)
{
    bz_record *r = ud;
    (void)budget_us;
    if (atomic_load(&r->cancelled))
        return bz_fail(err, BEZEL_ERR_CANCELLED, "record", "the call was cancelled");
    if (r->piece < bezel_value_count(bezel_value_get(r->played, "pieces"))) {
        r->is_ready = 1;
        return BEZEL_TOKEN;
    }
    return play_ended(r, err);
}

static int play_text(void *ud, const char **text, size_t *size)
{
    bz_record *r = ud;
    if (!r->is_ready)
        return 0;
    r->is_ready = 0;
    *text = bezel_value_text(bezel_value_at(bezel_value_get(r->played, "pieces"), r->piece++), size);
    return 1;
}

/* A list of numbers as an array of the generation, NULL when it is absent or empty. */
static void *play_array(bz_record *r, int slot, const char *key, int is_float, bezel_status *status)
{
    const bezel_value *list = bezel_value_get(r->played, key);
    const size_t n = bezel_value_count(list);
    bz_free(r->world, r->arrays[slot]);
    r->arrays[slot] = NULL;
    if (!n)
        return NULL;
    int32_t *ids = bz_zalloc_array(r->world, n, sizeof *ids);
    float *x = (void *)ids;
    r->arrays[slot] = ids;
    if (!ids)
        *status = BEZEL_ERR_MEMORY;
    for (size_t i = 0; ids && i < n; i++) {
        const bezel_value *v = bezel_value_at(list, i);
        if (is_float)
            x[i] = bezel_value_type(v) == BEZEL_NULL ? -INFINITY : (float)bezel_value_number(v);
        else
            ids[i] = (int32_t)bezel_value_integer(v);
    }
    return ids;
}

static double play_number(const bezel_value *v)
{
    return bezel_value_type(v) == BEZEL_NUMBER || bezel_value_type(v) == BEZEL_INTEGER ? bezel_value_number(v) : (double)NAN;
}

static bezel_status play_result(void *ud, bezel_generation *out, bezel_error *err)
{
    bz_record *r = ud;
    bezel_status st = BEZEL_OK;
    if (!r->played)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "record", "no call runs");
    *out = (bezel_generation){.size = sizeof *out, .text = ""};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        number_set(out, &numbers[i], bezel_value_integer(bezel_value_get(r->played, numbers[i].key)));
    out->ids = play_array(r, 0, "ids", 0, &st);
    out->n_ids = bezel_value_count(bezel_value_get(r->played, "ids"));
    out->logprobs = play_array(r, 1, "logprobs", 1, &st);
    out->top_ids = play_array(r, 2, "top_ids", 0, &st);
    out->top_logprobs = play_array(r, 3, "top_logprobs", 1, &st);
    const size_t n = out->n_ids * out->n_top; /* a list that is too short is not read */
    if (bezel_value_count(bezel_value_get(r->played, "logprobs")) < out->n_ids)
        out->logprobs = NULL;
    if (bezel_value_count(bezel_value_get(r->played, "top_ids")) < n || out->n_top > 1 << 20)
        out->top_ids = NULL;
    if (bezel_value_count(bezel_value_get(r->played, "top_logprobs")) < n || !out->top_ids)
        out->top_logprobs = NULL;
    if (!out->top_logprobs)
        out->n_top = 0;
    out->call_probability = play_number(bezel_value_get(r->played, "call_probability"));
    out->name_probability = play_number(bezel_value_get(r->played, "name_probability"));
    return st == BEZEL_OK ? st : bz_fail_memory(err, "record", "a model call", 0);
}

static int play_fd(void *ud)
{
    (void)ud;
    return -1;
}

static void play_cancel(void *ud) { atomic_store(&((bz_record *)ud)->cancelled, 1); }

/* --- Tools -------------------------------------------------------------------------------- */

bezel_status bz_record_tool_add(bz_record *r, const bz_record_tool *tool, bezel_error *err)
{
    bezel_tree *t = NULL;
    if (r->failed.status != BEZEL_OK)
        return bz_error_copy(err, &r->failed);
    bezel_status st = bezel_tree_new(&t, r->engine, err);
    if (st != BEZEL_OK)
        return st;
    bezel_value *line = bezel_tree_map(t), *map = bezel_tree_map(t);
    set_text(t, map, "name", tool->name);
    bezel_value_set(t, map, "arguments", bezel_tree_copy(t, tool->arguments));
    if (tool->status < 0)
        set_text(t, map, "code", bezel_status_name(tool->status));
    else if (!tool->is_undeclared)
        bezel_value_set(t, map, "result", bezel_tree_copy(t, tool->result));
    set_text(t, map, "summary", tool->summary);
    set_text(t, map, "error", tool->error);
    if (tool->is_undeclared)
        bezel_value_set(t, map, "is_undeclared", bezel_tree_bool(t, 1));
    if (tool->is_dropped)
        bezel_value_set(t, map, "is_dropped", bezel_tree_bool(t, 1));
    set_integer(t, map, "us", tool->us);
    bezel_value_set(t, line, "tool", map);
    st = record_line(r, t, line, err);
    bezel_tree_free(t);
    return st;
}

bezel_status bz_record_tool_next(bz_record *r, bz_record_tool *tool, bezel_error *err)
{
    for (size_t i = r->at; i < bezel_value_count(r->lines); i++) {
        const bezel_value *line = bezel_value_at(r->lines, i), *map = bezel_value_get(line, "tool");
        if (bezel_value_get(line, "call"))
            break;
        if (r->used[i] || strcmp(bezel_value_text(bezel_value_get(map, "name"), NULL), tool->name) != 0 ||
            !bezel_value_equal(bezel_value_get(map, "arguments"), tool->arguments))
            continue;
        r->used[i] = 1;
        tool->result = bezel_value_get(map, "result");
        tool->summary = bezel_value_get(map, "summary") ? bezel_value_text(bezel_value_get(map, "summary"), NULL) : NULL;
        tool->status = play_status(map);
        tool->error = bezel_value_get(map, "error") ? bezel_value_text(bezel_value_get(map, "error"), NULL) : NULL;
        tool->is_undeclared = bezel_value_bool(bezel_value_get(map, "is_undeclared"));
        tool->is_dropped = bezel_value_bool(bezel_value_get(map, "is_dropped"));
        tool->us = bezel_value_integer(bezel_value_get(map, "us"));
        return BEZEL_OK;
    }
    bz_fail(err, BEZEL_ERR_MISSING, "record", "the recording has no call of %s with these arguments here", tool->name);
    return play_fail(r, BEZEL_ERR_MISSING, err);
}

/* --- Public to the agent ------------------------------------------------------------------ */

void bz_record_say_next(bz_record *r, bz_record_say *say)
{
    if (!r->plays) {
        r->say = *say;
        return;
    }
    const bezel_value *call = play_next(r);
    const double bias = play_number(bezel_value_get(call, "fit_bias"));
    *say = (bz_record_say){isnan(bias) ? 0 : (float)bias, bezel_value_bool(bezel_value_get(call, "is_named"))};
}

int bz_record_plays(const bz_record *r)
{
    return r && r->plays;
}

void bz_record_source(bz_turn_source *out, bz_record *r, const bz_turn_source *inner)
{
    static const bz_turn_source recording = {.start = record_start, .step = record_step, .text = record_text, .result = record_result,
                                             .fd = record_fd, .cancel = record_cancel, .end = record_end};
    static const bz_turn_source playing = {.start = play_start, .step = play_step, .text = play_text, .result = play_result,
                                           .fd = play_fd, .cancel = play_cancel, .end = play_end};
    *out = r->plays ? playing : recording;
    out->ud = r;
    r->inner = inner;
}

static bezel_status record_make(bz_record **out, bezel_engine *engine, const char *path, int plays, bezel_error *err)
{
    const bezel_world *w = bezel_engine_world(engine);
    bz_record *r = bz_zalloc(w, sizeof *r);
    *out = r;
    if (!r)
        return bz_fail_memory(err, "record", "a recording", sizeof *r);
    r->engine = engine;
    r->world = w;
    r->plays = plays;
    r->failed = (bezel_error)BEZEL_ERROR_INIT;
    r->path = bz_text_dup(w, path, SIZE_MAX);
    atomic_init(&r->cancelled, 0);
    return r->path ? BEZEL_OK : bz_fail_memory(err, "record", "a path", strlen(path));
}

void bz_record_free(bz_record *r)
{
    if (!r)
        return;
    play_end(r);
    if (r->file)
        r->world->file_close(r->world->ud, r->file);
    bezel_tree_free(r->tree);
    bz_free(r->world, r->used);
    bz_free(r->world, r->path);
    bz_free(r->world, r);
}

static bezel_status record_begin(bz_record *r, const char *model, uint32_t n_ctx, bezel_error *err)
{
    bezel_file *there = NULL;
    bezel_tree *t = NULL;
    if (r->world->file_open(r->world->ud, &there, r->path, BEZEL_FILE_READ) == BEZEL_OK) {
        r->world->file_close(r->world->ud, there);
        bezel_status st = bz_fail(err, BEZEL_ERR_DENIED, "record", "%s exists and is not overwritten", r->path);
        bz_error_hint(err, st, "choose a new name, or remove the file first");
        return bz_error_place(err, st, "%s", r->path);
    }
    bezel_status st = r->world->file_open(r->world->ud, &r->file, r->path, BEZEL_FILE_CREATE);
    if (st != BEZEL_OK)
        return record_fail(r, st, "the recording cannot be made", err);
    st = bezel_tree_new(&t, r->engine, err);
    if (st != BEZEL_OK)
        return st;
    bezel_value *head = bezel_tree_map(t);
    set_integer(t, head, "bezel_record", 1);
    set_text(t, head, "model", model);
    set_integer(t, head, "n_ctx", n_ctx);
    st = record_line(r, t, head, err);
    bezel_tree_free(t);
    return st;
}

bezel_status bz_record_new(bz_record **out, bezel_engine *engine, const char *path, const char *model, uint32_t n_ctx,
                           bezel_error *err)
{
    bezel_status st = record_make(out, engine, path, 0, err);
    if (st == BEZEL_OK)
        st = record_begin(*out, model, n_ctx, err);
    if (st != BEZEL_OK) {
        bz_record_free(*out);
        *out = NULL;
    }
    return st;
}

/* A line as a value at the end of the list; number counts from 1. */
static bezel_status play_line(bz_record *r, bezel_value *list, const char *text, size_t size, size_t number, bezel_error *err)
{
    bezel_value *line = NULL;
    bezel_error why = BEZEL_ERROR_INIT;
    bezel_status st = bezel_json_read(&line, r->tree, text, size, &why);
    const int64_t form = bezel_value_integer(bezel_value_get(line, "bezel_record"));
    if (st != BEZEL_OK)
        bz_fail(err, st, "record", "line %zu: %s", number, why.text);
    else if (number == 1 && !form)
        st = bz_fail(err, BEZEL_ERR_FORMAT, "record", "line 1: this is no recording: the head has no \"bezel_record\"");
    else if (number == 1 && form != 1)
        st = bz_fail(err, BEZEL_ERR_VERSION, "record", "line 1: the recording has form %lld, this Bezel reads 1", (long long)form);
    else if (number == 1 && bezel_value_integer(bezel_value_get(line, "n_ctx")) < 2)
        st = bz_fail(err, BEZEL_ERR_FORMAT, "record", "line 1: n_ctx is missing");
    else if (number > 1 && bezel_value_type(bezel_value_get(line, "call")) != BEZEL_MAP &&
             bezel_value_type(bezel_value_get(line, "tool")) != BEZEL_MAP)
        st = bz_fail(err, BEZEL_ERR_FORMAT, "record", "line %zu: a call or a tool expected", number);
    if (st != BEZEL_OK)
        return bz_error_place(err, st, "%s:%zu", r->path, number);
    if (number == 1)
        r->n_ctx = (uint32_t)bezel_value_integer(bezel_value_get(line, "n_ctx"));
    if (number > 1)
        bezel_value_append(r->tree, list, line);
    return bezel_tree_status(r->tree) == BEZEL_OK ? BEZEL_OK : bz_fail_memory(err, "record", "the recording", size);
}

static bezel_status play_read(bz_record *r, bezel_error *err)
{
    const bezel_world *w = r->world;
    bezel_file_info info = {.size = 0};
    char *text = NULL;
    bezel_status st = w->file_open(w->ud, &r->file, r->path, BEZEL_FILE_READ);
    if (st == BEZEL_OK)
        st = w->file_info(w->ud, r->file, &info);
    if (st == BEZEL_OK && info.size > UINT32_MAX)
        st = BEZEL_ERR_LIMIT;
    if (st == BEZEL_OK && !(text = bz_alloc(w, (size_t)info.size + 1)))
        return bz_fail_memory(err, "record", "the recording", (size_t)info.size);
    if (st == BEZEL_OK)
        st = w->file_read(w->ud, r->file, 0, text, (size_t)info.size);
    if (st != BEZEL_OK)
        record_fail(r, st, "the recording cannot be read", err);
    else
        st = bezel_tree_new(&r->tree, r->engine, err);
    bezel_value *list = st == BEZEL_OK ? bezel_tree_list(r->tree) : NULL;
    size_t number = 0;
    for (size_t at = 0; st == BEZEL_OK && (at < info.size || !number);) {
        const char *end = memchr(text + at, '\n', (size_t)info.size - at);
        const size_t n = end ? (size_t)(end - text) - at : (size_t)info.size - at;
        st = play_line(r, list, text + at, n, ++number, err);
        at += n + 1;
    }
    bz_free(w, text);
    r->lines = list;
    if (st == BEZEL_OK && !(r->used = bz_zalloc_array(w, bezel_value_count(list) + 1, 1)))
        st = bz_fail_memory(err, "record", "the recording", bezel_value_count(list));
    return st;
}

bezel_status bz_record_open(bz_record **out, uint32_t *out_n_ctx, bezel_engine *engine, const char *path, bezel_error *err)
{
    bezel_status st = record_make(out, engine, path, 1, err);
    if (st == BEZEL_OK)
        st = play_read(*out, err);
    if (st == BEZEL_OK)
        *out_n_ctx = (*out)->n_ctx;
    if (st != BEZEL_OK) {
        bz_record_free(*out);
        *out = NULL;
    }
    return st;
}
