/* SPDX-License-Identifier: MIT */
/* The loop: ask, listen, judge, run, reply, again, until there is text, a limit or an error. Invariants: every model call
 * counts against max_steps, so a turn ends; a failed turn leaves a history that the next one can continue; the journal
 * sees each turn once, however it ended. It computes and renders nothing itself. */
#include <math.h>
#include <string.h>

#include "agent_impl.h"

#include "base/alloc.h"

#define BRANCHES_AT_MOST 3 /* taken-back repetitions in one turn */
#define TOP_AT_MOST 8      /* alternatives that agent_branch.c looks at */

/* --- Ask ---------------------------------------------------------------------------------- */

/* Ids that a call begins with, so that an answer-only model call cannot begin one. Its texts may not use them either,
 * which is the smaller evil: they spell FUNCTION. */
static bezel_status loop_ban_calls(bezel_agent *a, bezel_generate_options *o, bezel_logit_bias *list, uint32_t room,
                                   bezel_error *err)
{
    static const char *const before[] = {"", " "};
    uint32_t n = 0;
    for (; n < o->sampling.n_bias && n < room; n++)
        list[n] = o->sampling.bias[n];
    for (size_t i = 0; i < 2 && n < room; i++) {
        bz_strbuf b;
        int32_t ids[64];
        size_t count = 0;
        bz_strbuf_init(&b, a->world, 0);
        bz_strbuf_text(&b, before[i]);
        bz_strbuf_text(&b, a->options.tool_profile->call_marker);
        bezel_status st = b.status;
        if (st == BEZEL_OK)
            st = bezel_tokenize(ids, 64, &count, a->model, bz_strbuf_cstr(&b), b.size, 0, err);
        else
            bz_fail_memory(err, "agent", "a marker", b.size);
        bz_strbuf_free(&b);
        if (st != BEZEL_OK && st != BEZEL_ERR_LIMIT)
            return st;
        size_t size = 0;
        const char *piece = count ? bezel_token_text(a->model, ids[0], &size) : NULL;
        /* a lone blank or underline begins ordinary text, too */
        int letters = 0;
        for (size_t k = 0; piece && k < size; k++)
            letters += (piece[k] >= 'A' && piece[k] <= 'Z') || (piece[k] >= 'a' && piece[k] <= 'z');
        if (letters >= 2 && !(n && list[n - 1].id == ids[0]))
            list[n++] = (bezel_logit_bias){ids[0], -INFINITY};
    }
    o->sampling.bias = list;
    o->sampling.n_bias = n;
    return BEZEL_OK;
}

static bezel_status loop_stops(const char **list, uint32_t room, bezel_agent *a, bezel_generate_options *o,
                               bezel_error *err)
{
    const char *const *sources[] = {a->options.profile->stops,
                                    bz_agent_has_tools(a) ? a->options.tool_profile->stops : NULL};
    uint32_t n = 0;
    for (size_t s = 0; s < 2; s++) {
        for (size_t i = 0; sources[s] && sources[s][i]; i++) {
            if (n == room)
                return bz_fail(err, BEZEL_ERR_LIMIT, "agent", "more than %u stop strings", (unsigned)room);
            list[n++] = sources[s][i];
        }
    }
    for (uint32_t i = 0; i < a->options.generate.n_stops; i++) {
        if (n == room)
            return bz_fail(err, BEZEL_ERR_LIMIT, "agent", "more than %u stop strings", (unsigned)room);
        list[n++] = a->stops[i];
    }
    o->stops = list;
    o->n_stops = n;
    return BEZEL_OK;
}

static bezel_status loop_start(bezel_agent *a, const bezel_prompt *prompt, bezel_error *err)
{
    enum { STOPS = 64, BIASES = 258 };
    const char *stops[STOPS];
    bezel_logit_bias bias[BIASES];
    bezel_generate_options o = a->options.generate;
    bz_turn_request request = {.forced = a->forced, .n_forced = a->n_forced, .options = &o};
    char *forced_text = NULL;
    size_t forced_size = 0;
    request.ids = bezel_prompt_ids(prompt, &request.n_ids);
    while (request.n_prefix < a->n_prefix && request.n_prefix < request.n_ids &&
           request.ids[request.n_prefix] == a->prefix[request.n_prefix])
        request.n_prefix++;
    a->say = (bz_record_say){a->fit_bias, a->name_bias != NULL};
    if (a->record)
        bz_record_say_next(a->record, &a->say);
    a->fit_bias = a->say.fit_bias;
    bezel_status st = loop_stops(stops, STOPS, a, &o, err);
    if (st == BEZEL_OK && a->answer_only && !a->form)
        st = loop_ban_calls(a, &o, bias, BIASES, err);
    bz_agent_constraint_set(a, &o);
    /* a first call cannot repeat one; later ones may need to know what else the model had in mind */
    if (bz_agent_has_tools(a) && a->n_calls && !a->answer_only && !a->n_forced && o.n_logprobs < TOP_AT_MOST)
        o.n_logprobs = TOP_AT_MOST;
    if (st == BEZEL_OK && a->n_forced)
        st = bezel_detokenize(&forced_text, &forced_size, a->model, a->forced, a->n_forced, 0, err);
    if (st == BEZEL_OK)
        st = bz_turn_start(&a->turn, a->world, &a->source, a->form ? NULL : bz_agent_tools(a), &request, forced_text, err);
    bezel_text_free(a->engine, forced_text);
    return st;
}

static bezel_status loop_limit_steps(bezel_agent *a, bezel_error *err)
{
    if (!bz_agent_has_tools(a) || a->step < a->options.max_steps || a->answer_only)
        return BEZEL_OK;
    a->answer_only = 1;
    bezel_status st = bz_agent_decide(a, "limit", "max_steps", NULL, NULL, NULL, err);
    if (st != BEZEL_OK)
        return st;
    return bz_agent_note(a, err, "%u model calls with tools were made; the next must answer in text", (unsigned)a->step);
}

static bezel_status loop_usage_add(bezel_agent *a, const char *error, bezel_error *err)
{
    const bezel_generation *g = &a->turn.generation;
    if (!bz_agent_grow(a->world, &a->usages, &a->usages_capacity, a->n_usages, sizeof *a->usages))
        return bz_fail_memory(err, "agent", "the usage rows", (a->n_usages + 1) * sizeof *a->usages);
    a->usages[a->n_usages++] = (bezel_journal_usage){.step = a->step - 1,
                                                     .stop_reason = g->stop_reason,
                                                     .n_prompt = g->n_prompt,
                                                     .n_cached = g->n_cached,
                                                     .n_generated = g->n_ids,
                                                     .n_dropped = a->n_dropped_pending,
                                                     .first_token_us = g->first_token_us,
                                                     .total_us = g->total_us,
                                                     .error = error,
                                                     .n_forced = g->n_forced};
    a->n_dropped_pending = 0;
    a->n_tokens_forced += g->n_forced;
    if (a->step == 1) {
        a->call_probability = a->constraint || a->options.generate.constraint ? bz_agent_fit_probability(a, g->call_probability)
                                                                              : (double)NAN;
        a->name_probability = a->say.is_named ? g->name_probability : (double)NAN;
    }
    a->stop_reason = g->stop_reason;
    return BEZEL_OK;
}

static bezel_status loop_ask(bezel_agent *a, bezel_error *err)
{
    bezel_prompt *prompt = NULL;
    bezel_status st = loop_limit_steps(a, err);
    a->step_calls = a->n_calls;
    if (st == BEZEL_OK)
        st = bz_agent_prompt_render(&prompt, a, &a->plan, err);
    if (st != BEZEL_OK)
        return st;
    a->step++;
    a->n_dropped_pending = a->plan.n_dropped;
    if (a->plan.n_dropped) {
        char text[128];
        bz_strbuf b;
        bz_strbuf_init(&b, a->world, 0);
        bz_strbuf_format(&b, "%zu tokens of older messages did not fit and were left out", a->plan.n_dropped);
        size_t n = b.size < sizeof text ? b.size : sizeof text - 1;
        memcpy(text, bz_strbuf_cstr(&b), n);
        bz_strbuf_free(&b);
        st = bz_agent_emit_text(a, BEZEL_AGENT_DROPPED, text, n, a->plan.n_dropped, err);
    }
    if (st == BEZEL_OK)
        st = loop_start(a, prompt, err);
    bezel_prompt_free(prompt);
    if (st == BEZEL_OK)
        a->state = BZ_AGENT_LISTEN;
    else
        loop_usage_add(a, bezel_status_name(st), NULL); /* a model call that could not begin has a row, too */
    return st;
}

/* --- Listen ------------------------------------------------------------------------------- */

static bezel_status loop_events(bezel_agent *a, bezel_error *err)
{
    bezel_parse_event found;
    bezel_status st = BEZEL_OK;
    while (st == BEZEL_OK && bz_turn_event(&a->turn, &found)) {
        if (found.type == BEZEL_PARSE_TEXT)
            st = bz_agent_emit_text(a, BEZEL_AGENT_TEXT, found.text, found.text_size, 0, err);
        else if (found.type == BEZEL_PARSE_CALL)
            st = bz_agent_call_add(a, &found, err);
        else
            st = bz_agent_parse_error_add(a, &found, err);
    }
    return st;
}

static int64_t loop_elapsed_us(const bezel_agent *a)
{
    return (a->world->monotonic_ns(a->world->ud) - a->started_ns) / 1000;
}

static bezel_status loop_listen(bezel_agent *a, int64_t budget_us, bezel_error *err)
{
    bezel_status got = bz_turn_step(&a->turn, budget_us, err);
    if (got < 0)
        return got;
    if (got != BEZEL_MORE && a->first_token_us < 0)
        a->first_token_us = loop_elapsed_us(a);
    bezel_status st = loop_events(a, err);
    if (st == BEZEL_OK && got == BEZEL_DONE)
        a->state = BZ_AGENT_JUDGE;
    return st == BEZEL_OK ? BEZEL_MORE : st;
}

/* --- Judge -------------------------------------------------------------------------------- */

/* Text of this model call without its calls. */
static bezel_status loop_answer(bezel_agent *a, bezel_error *err)
{
    bz_strbuf_reset(&a->answer);
    bezel_status st = BEZEL_OK;
    if (a->turn.parser) {
        bezel_value *result = NULL;
        size_t size = 0;
        st = bezel_parser_result(&result, a->tree, a->turn.parser, err);
        if (st == BEZEL_OK) {
            const char *text = bezel_value_text(bezel_value_get(result, "text"), &size);
            bz_strbuf_add(&a->answer, text, size);
        }
    } else {
        const char *text = bz_strbuf_cstr(&a->turn.text);
        size_t begin = 0, end = a->turn.text.size;
        while (begin < end && strchr(" \t\r\n", text[begin]))
            begin++;
        while (end > begin && strchr(" \t\r\n", text[end - 1]))
            end--;
        bz_strbuf_add(&a->answer, text + begin, end - begin);
    }
    if (st == BEZEL_OK && a->answer.status != BEZEL_OK)
        st = bz_fail(err, a->answer.status, "agent", "no room for the answer");
    return st;
}

typedef struct loop_counts {
    size_t n_new, n_bad, n_repeated, n_worn; /* worn: asked for in four model calls or more */
    const bz_agent_call *first_bad, *worn;
} loop_counts;

static void loop_count(loop_counts *out, bezel_agent *a)
{
    *out = (loop_counts){0};
    for (size_t i = a->step_calls; i < a->n_calls; i++) {
        const bz_agent_call *c = &a->calls[i];
        if (!c->arguments) {
            out->first_bad = out->n_bad++ ? out->first_bad : c;
        } else if (!c->repeated) {
            out->n_new++;
        } else {
            out->n_repeated++;
            const bz_agent_call *o = bz_agent_call_original(a, c->name, c->arguments);
            if (o && o->seen >= 3)
                out->worn = o;
            out->n_worn += o && o->seen >= 4;
        }
    }
}

static bezel_status loop_finish_text(bezel_agent *a, const char *text, size_t size, bezel_error *err)
{
    bezel_status st = bz_agent_history_add(a, BEZEL_ROLE_ASSISTANT, a->step - 1, text, size, err);
    if (st == BEZEL_OK)
        a->state = BZ_AGENT_RECORD;
    return st;
}

/* The model was told to answer in text and called again. */
static bezel_status loop_answer_only(bezel_agent *a, bezel_error *err)
{
    for (size_t i = a->step_calls; i < a->n_calls; i++) {
        bz_agent_call *c = &a->calls[i];
        if (c->arguments && !c->repeated) {
            c->refused = c->done = 1;
            c->code = "not_run";
            c->error = "no call is run any more in this turn";
        }
    }
    if (!a->answer.size) {
        a->answer_lost = 1;
        bz_agent_decide(a, "loop", "ended", NULL, NULL, "no answer in text", NULL); /* the turn fails anyway */
        bezel_status st = bz_fail(err, BEZEL_ERR_LOOP, "agent",
                                  "after %u model calls the model still calls functions and does not answer",
                                  (unsigned)a->step);
        return bz_error_hint(err, st, "raise max_steps, offer fewer tools, or ask a simpler question");
    }
    bezel_status st = bz_agent_note(a, err, "calls in the last answer were not run");
    return st == BEZEL_OK ? loop_finish_text(a, a->answer.data, a->answer.size, err) : st;
}

static bezel_status loop_worn(bezel_agent *a, const loop_counts *n, bezel_error *err)
{
    bz_agent_decide(a, "loop", "ended", n->worn, n->worn->name, "the same call again and again", NULL);
    bezel_status st = bz_fail(err, BEZEL_ERR_LOOP, "agent", "the model called %s %u times with the same arguments",
                              n->worn->name, (unsigned)n->worn->seen);
    return bz_error_hint(err, st, "its result is in the turn; ask again, or shorten what the tool returns");
}

static bezel_status loop_calls(bezel_agent *a, const loop_counts *n, bezel_error *err)
{
    if (n->n_bad && ++a->n_bad >= 2 && !n->n_new) {
        bz_agent_decide(a, "failure", "ended", n->first_bad, NULL, n->first_bad->error, NULL); /* the turn fails anyway */
        bezel_status st = bz_fail(err, BEZEL_ERR_PARSE, "agent", "the model's call could not be read twice: %s",
                                  n->first_bad->error);
        return bz_error_hint(err, st, "simplify the parameters of the tool, or give it an example");
    }
    bezel_status st = BEZEL_OK;
    if (n->worn && !a->answer_only)
        st = bz_agent_decide(a, "loop", "text_only", n->worn, n->worn->name, NULL, err);
    if (n->worn)
        a->answer_only = 1;
    if (st == BEZEL_OK)
        st = bz_agent_history_add(a, BEZEL_ROLE_ASSISTANT, a->step - 1, bz_strbuf_cstr(&a->turn.text), a->turn.text.size, err);
    if (st == BEZEL_OK)
        a->state = BZ_AGENT_WAIT;
    return st == BEZEL_OK ? bz_agent_calls_start(a, err) : st;
}

static bezel_status loop_judge(bezel_agent *a, bezel_error *err)
{
    loop_counts n;
    int found = 0;
    bezel_status st = loop_usage_add(a, NULL, err);
    if (st == BEZEL_OK)
        st = loop_answer(a, err);
    if (st != BEZEL_OK)
        return st;
    loop_count(&n, a);
    int forced = a->n_forced != 0;
    if (a->n_calls == a->step_calls) {
        st = loop_finish_text(a, bz_strbuf_cstr(&a->turn.text), a->turn.text.size, err);
    } else if (a->answer_only) {
        st = loop_answer_only(a, err);
    } else if (n.n_worn) {
        st = loop_worn(a, &n, err);
    } else {
        int only_repeats = n.n_repeated && !n.n_new && !n.n_bad && !a->answer.size;
        if (only_repeats && !forced && a->n_branches < BRANCHES_AT_MOST && a->step < a->options.max_steps)
            st = bz_agent_branch(a, &found, err);
        if (st == BEZEL_OK && found) {
            st = bz_agent_decide(a, "loop", "led_away", &a->calls[a->step_calls], a->calls[a->step_calls].name, NULL, err);
            a->n_branches++;
            a->state = BZ_AGENT_ASK;
        } else if (st == BEZEL_OK) {
            st = loop_calls(a, &n, err);
        }
    }
    if (st == BEZEL_OK)
        bz_turn_end(&a->turn);
    if (st == BEZEL_OK && !found) {
        bz_free(a->world, a->forced);
        a->forced = NULL;
        a->n_forced = 0;
    }
    return st;
}

/* --- Run, reply, record ------------------------------------------------------------------- */

static bezel_status loop_wait(bezel_agent *a, bezel_error *err)
{
    bezel_status st = bz_agent_calls_poll(a, err);
    if (st != BEZEL_OK)
        return st;
    a->state = BZ_AGENT_REPLY;
    for (size_t i = a->step_calls; i < a->n_calls; i++) {
        if (a->calls[i].undeclared)
            a->state = BZ_AGENT_RECORD; /* the host answers; nothing can be told to the model */
    }
    return BEZEL_OK;
}

static bezel_status loop_reply(bezel_agent *a, bezel_error *err)
{
    bezel_status st = loop_limit_steps(a, err); /* first, because the reply tells the model */
    if (st == BEZEL_OK)
        st = bz_agent_calls_reply(a, err);
    if (st == BEZEL_OK)
        st = bz_agent_calls_check(a, err);
    if (st == BEZEL_OK)
        st = bz_agent_role_change(a, err);
    if (st == BEZEL_OK)
        a->state = BZ_AGENT_ASK;
    return st;
}

static bezel_status loop_record(bezel_agent *a, bezel_error *err)
{
    a->total_us = loop_elapsed_us(a);
    bezel_status st = bz_agent_call_list(a, err);
    if (st != BEZEL_OK)
        return st;
    a->recorded = 1;
    st = bz_agent_journal_write(a, 0, err);
    if (st != BEZEL_OK)
        return st;
    a->state = BZ_AGENT_FINISHED;
    a->final = BEZEL_DONE;
    return BEZEL_DONE;
}

bezel_status bz_agent_unit(bezel_agent *a, int64_t budget_us, bezel_error *err)
{
    if (atomic_load(&a->cancelled) && a->state != BZ_AGENT_RECORD)
        return bz_fail(err, BEZEL_ERR_CANCELLED, "agent", "the turn was cancelled");
    bezel_status st;
    switch (a->state) {
    case BZ_AGENT_ASK:
        st = bz_agent_fit_step(a, budget_us, err);
        if (st == BEZEL_OK)
            st = loop_ask(a, err);
        else if (st == BEZEL_MORE)
            st = BEZEL_OK; /* goes on with the next unit */
        break;
    case BZ_AGENT_LISTEN:
        st = loop_listen(a, budget_us, err);
        break;
    case BZ_AGENT_JUDGE:
        st = loop_judge(a, err);
        break;
    case BZ_AGENT_WAIT:
        st = loop_wait(a, err);
        break;
    case BZ_AGENT_REPLY:
        st = loop_reply(a, err);
        break;
    case BZ_AGENT_RECORD:
        return loop_record(a, err);
    default:
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "agent", "no turn runs");
    }
    return st == BEZEL_OK ? BEZEL_MORE : st;
}

/* --- Failure ------------------------------------------------------------------------------ */

/* What the model had written goes into the history when it is text that can stand as an answer: 1 when it did. */
static int loop_keep_partial(bezel_agent *a, bezel_status st)
{
    if (!a->turn.source)
        return 0;
    if (st == BEZEL_ERR_CANCELLED) {
        a->source.cancel(a->source.ud);
        while (a->source.step(a->source.ud, -1, NULL) > 0 && !a->turn.done) {
            const char *text;
            size_t size;
            if (!a->source.text(a->source.ud, &text, &size))
                break;
            bz_strbuf_add(&a->turn.text, text, size);
            if (a->turn.parser)
                bezel_parser_push(a->turn.parser, text, size, NULL);
        }
    }
    int judged = a->turn.done && a->n_usages && a->usages[a->n_usages - 1].step == a->step - 1;
    bz_turn_salvage(&a->turn);
    if (st == BEZEL_ERR_CANCELLED)
        a->turn.generation.stop_reason = BEZEL_STOP_CANCELLED;
    loop_events(a, NULL);
    if (!judged)
        loop_usage_add(a, bezel_status_name(st), NULL);
    else
        a->usages[a->n_usages - 1].error = bezel_status_name(st);
    int kept = loop_answer(a, NULL) == BEZEL_OK && a->answer.size && a->n_calls == a->step_calls &&
               bz_agent_history_add(a, BEZEL_ROLE_ASSISTANT, a->step - 1, a->answer.data, a->answer.size, NULL) == BEZEL_OK;
    bz_turn_end(&a->turn);
    return kept;
}

void bz_agent_fail(bezel_agent *a, bezel_status st, const bezel_error *err)
{
    a->final = st;
    a->error = *err;
    a->error.status = st;
    bz_agent_calls_drop(a, st);
    bz_agent_fit_stop(a);
    int kept = loop_keep_partial(a, st) && st == BEZEL_ERR_CANCELLED;
    if (st == BEZEL_ERR_CANCELLED)
        a->stop_reason = BEZEL_STOP_CANCELLED;
    a->total_us = loop_elapsed_us(a);
    if (!a->call_list)
        bz_agent_call_list(a, NULL);
    bezel_error why = BEZEL_ERROR_INIT;
    if (!a->recorded && bz_agent_journal_write(a, !kept, &why) != BEZEL_OK)
        bz_agent_note(a, NULL, "the journal did not keep this failed turn: %s", why.text);
    if (!kept) /* a question without an answer, a call without its result, a turn that the journal does not have */
        bz_agent_history_cut(a, a->turn_begin);
    bz_free(a->world, a->forced);
    a->forced = NULL;
    a->n_forced = 0;
    a->state = BZ_AGENT_FINISHED;
}
