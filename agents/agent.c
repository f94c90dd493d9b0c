/* SPDX-License-Identifier: MIT */
/* The agent as the host sees it: options, life, turns. What a turn does is in agent_loop.c. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "agent_impl.h"

#include "base/alloc.h"
#include "base/options.h"

int bz_agent_grow(const bezel_world *w, void *list, size_t *capacity, size_t count, size_t size)
{
    void *old;
    if (count < *capacity)
        return 1;
    size_t next = *capacity ? *capacity : 8, bytes;
    if (!bz_size_mul(&next, next, 2) || !bz_size_mul(&bytes, next, size))
        return 0;
    memcpy(&old, list, sizeof old); /* `list` is the address of a pointer to some element type */
    void *grown = bz_realloc(w, old, bytes);
    if (!grown)
        return 0;
    memcpy(list, &grown, sizeof grown);
    *capacity = next;
    return 1;
}

/* --- Life --------------------------------------------------------------------------------- */

void bezel_agent_options_init(bezel_agent_options *out)
{
    *out = (bezel_agent_options){.size = sizeof *out, .max_steps = 6, .max_calls = 8, .constrain = 1, .fit = 1, .evidence = 1};
    bezel_session_options_init(&out->session);
    bezel_generate_options_init(&out->generate);
    bezel_sampling_greedy(&out->generate.sampling);
}

static bezel_status agent_text(char **out, const bezel_agent *a, const char *text, bezel_error *err)
{
    if (!text)
        return BEZEL_OK;
    *out = bz_text_dup(a->world, text, SIZE_MAX);
    return *out ? BEZEL_OK : bz_fail_memory(err, "agent", "an option", strlen(text));
}

static bezel_status agent_copy_generate(bezel_agent *a, bezel_error *err)
{
    bezel_generate_options *g = &a->options.generate;
    uint32_t n = g->n_stops;
    bezel_status st = BEZEL_OK;
    if ((n && !g->stops) || n > 64 || g->sampling.n_bias > 256 || (g->sampling.n_bias && !g->sampling.bias))
        return bz_fail(err, BEZEL_ERR_RANGE, "agent", "%u stop strings (at most 64) and %u biases (at most 256), or no list",
                       (unsigned)n, (unsigned)g->sampling.n_bias);
    g->n_stops = g->n_function_bias = 0;
    g->function_bias = NULL;
    g->evidence = NULL;
    g->evidence_weight = 0;
    a->stops = bz_zalloc_array(a->world, (size_t)n + 1, sizeof *a->stops);
    if (!a->stops)
        return bz_fail_memory(err, "agent", "the stop strings", 0);
    for (uint32_t i = 0; st == BEZEL_OK && i < n; i++) {
        st = g->stops[i] ? agent_text(&a->stops[i], a, g->stops[i], err)
                         : bz_fail(err, BEZEL_ERR_ARGUMENT, "agent", "stop string %u is NULL", (unsigned)i);
        g->n_stops += st == BEZEL_OK;
    }
    if (st == BEZEL_OK && g->sampling.n_bias) {
        size_t size = g->sampling.n_bias * sizeof *a->bias;
        a->bias = bz_alloc(a->world, size);
        if (!a->bias)
            return bz_fail_memory(err, "agent", "the biases", size);
        memcpy(a->bias, g->sampling.bias, size);
    }
    g->sampling.bias = a->bias;
    return st;
}

static bezel_status agent_profiles(bezel_agent *a, bezel_error *err)
{
    bezel_agent_options *o = &a->options;
    if (!o->profile)
        o->profile = bezel_profile_of(a->model);
    if (!o->tool_profile)
        o->tool_profile = bezel_tool_profile_of(o->profile);
    if (!o->profile || !o->tool_profile)
        return bz_fail(err, BEZEL_ERR_MISSING, "agent", "no profile says how to talk to this model");
    if (o->overflow > BEZEL_OVERFLOW_ERROR)
        return bz_fail(err, BEZEL_ERR_RANGE, "agent", "overflow is %u, expected one of BEZEL_OVERFLOW_...",
                       (unsigned)o->overflow);
    if (!o->max_steps || !o->max_calls)
        return bz_fail(err, BEZEL_ERR_RANGE, "agent", "max_steps and max_calls must be at least 1");
    return BEZEL_OK;
}

/* Who answers: a script, or the session; a recording listens to it or answers itself. */
static bezel_status agent_source(bezel_agent *a, const bz_turn_source *source, bezel_error *err)
{
    const bezel_agent_options *o = &a->options;
    bezel_status st = BEZEL_OK;
    a->is_computed = !source && !o->replay;
    if (source)
        a->source = *source;
    else
        bz_turn_session_source(&a->source, &a->session_source);
    if (o->record && o->replay)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "agent", "a session is recorded or replayed, not both");
    if (o->record)
        st = bz_record_new(&a->record, a->engine, o->record, bezel_model_name(a->model), a->n_ctx, err);
    else if (o->replay)
        st = bz_record_open(&a->record, &a->n_ctx, a->engine, o->replay, err);
    if (a->record) {
        a->heard = a->source;
        bz_record_source(&a->source, a->record, &a->heard);
    }
    return st;
}

static bezel_status agent_fill(bezel_agent *a, const bz_turn_source *source, bezel_error *err)
{
    const bezel_agent_options *o = &a->options;
    bezel_status st = agent_profiles(a, err);
    if (st == BEZEL_OK)
        st = bz_agent_roles_make(a, o, err);
    if (st == BEZEL_OK)
        st = bz_agent_permits_make(a, o, err);
    if (st == BEZEL_OK)
        st = agent_text(&a->context, a, o->context, err);
    if (st == BEZEL_OK)
        st = agent_text(&a->conversation, a, o->conversation, err);
    if (st == BEZEL_OK)
        st = agent_text(&a->user, a, o->user, err);
    if (st == BEZEL_OK)
        st = agent_text(&a->tool_choice, a, o->tool_choice, err);
    if (st == BEZEL_OK)
        st = agent_copy_generate(a, err);
    if (st == BEZEL_OK && o->journal) {
        if (o->journal->size != sizeof a->journal || !o->journal->write)
            st = bz_fail(err, BEZEL_ERR_ARGUMENT, "agent", "the journal has a wrong size or no write function");
        else
            a->journal = *o->journal;
    }
    if (st == BEZEL_OK && !o->replay)
        st = bezel_session_new(&a->session, a->model, &o->session, err);
    a->n_ctx = bezel_session_n_ctx(a->session);
    if (st == BEZEL_OK)
        st = bz_turn_session_init(&a->session_source, a->world, a->session, o->background != 0, err);
    if (st == BEZEL_OK)
        st = agent_source(a, source, err);
    if (st == BEZEL_OK) {
        a->wait_mutex = bz_mutex_new(a->world);
        a->wait_cond = bz_cond_new(a->world);
        if (!a->wait_mutex || !a->wait_cond)
            st = bz_fail_memory(err, "agent", "a lock", 0);
    }
    if (st == BEZEL_OK && o->background) {
        a->ready_fd = bz_os_flag_open();
        if (a->ready_fd < 0)
            st = bz_fail(err, BEZEL_ERR_IO, "agent", "the system has no descriptor left");
        else
            bz_os_flag_set(a->ready_fd);
    }
    a->options.system = a->options.context = a->options.conversation = a->options.user = a->options.tool_choice = NULL;
    a->options.record = a->options.replay = NULL;
    a->options.journal = NULL;
    a->options.tools = NULL;
    a->options.permits = NULL;
    a->options.handoffs = NULL;
    a->options.generate.stops = NULL; /* the copies are in a->stops */
    return st;
}

bezel_status bz_agent_new_with(bezel_agent **out, bezel_model *model, const bezel_agent_options *options,
                               const bz_turn_source *source, bezel_error *err)
{
    if (out)
        *out = NULL;
    if (!out || !model)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "agent", "bezel_agent_new needs out and a model");
    bezel_agent_options read;
    bezel_agent_options_init(&read);
    bezel_status st = bz_options_read(&read, sizeof read, options, "agent", err);
    if (st != BEZEL_OK)
        return st;
    bezel_engine *engine = bezel_model_engine(model);
    const bezel_world *w = bezel_engine_world(engine);
    bezel_agent *a = bz_zalloc(w, sizeof *a);
    if (!a)
        return bz_fail_memory(err, "agent", "the agent", sizeof *a);
    a->world = w;
    a->engine = engine;
    a->model = model;
    a->options = read;
    a->ready_fd = -1;
    atomic_init(&a->cancelled, 0);
    bz_arena_init(&a->arena, w, 0);
    bz_strbuf_init(&a->answer, w, 0);
    bz_strbuf_init(&a->offer_detail, w, 0);
    st = agent_fill(a, source, err);
    if (st != BEZEL_OK) {
        bezel_agent_free(a);
        return st;
    }
    *out = a;
    return BEZEL_OK;
}

bezel_status bezel_agent_new(bezel_agent **out, bezel_model *model, const bezel_agent_options *options,
                             bezel_error *err)
{
    return bz_agent_new_with(out, model, options, NULL, err);
}

static bezel_status agent_unit(bezel_agent *a, int64_t budget_us)
{
    bezel_error why = BEZEL_ERROR_INIT;
    bezel_status st = bz_agent_unit(a, budget_us, &why);
    if (st < 0)
        bz_agent_fail(a, st, &why);
    return st;
}

void bezel_agent_free(bezel_agent *agent)
{
    if (!agent)
        return;
    const bezel_world *w = agent->world;
    if (agent->state != BZ_AGENT_IDLE && agent->state != BZ_AGENT_FINISHED) {
        bezel_agent_cancel(agent);
        agent_unit(agent, 0); /* ends it */
    }
    bz_turn_end(&agent->turn);
    bz_record_free(agent->record);
    bz_turn_session_free(&agent->session_source);
    bz_agent_fit_free(agent);
    bezel_session_free(agent->session);
    bz_agent_constraint_free(agent);
    bz_agent_calls_clear(agent);
    bz_agent_events_clear(agent);
    bz_agent_history_cut(agent, 0);
    bz_free(w, agent->history);
    bz_free(w, agent->calls);
    bz_free(w, agent->usages);
    bz_free(w, agent->forced);
    bezel_tree_free(agent->tree);
    bz_arena_free(&agent->arena);
    bz_strbuf_free(&agent->answer);
    for (uint32_t i = 0; agent->stops && i < agent->options.generate.n_stops; i++)
        bz_free(w, agent->stops[i]);
    bz_free(w, agent->stops);
    bz_free(w, agent->bias);
    bz_free(w, agent->context);
    bz_free(w, agent->conversation);
    bz_free(w, agent->user);
    bz_free(w, agent->tool_choice);
    bz_free(w, agent->system_text);
    bz_free(w, agent->prefix);
    bz_free(w, agent->decisions);
    bz_agent_permits_free(agent);
    bz_agent_roles_free(agent);
    bz_strbuf_free(&agent->offer_detail);
    if (agent->ready_fd >= 0)
        bz_os_flag_close(agent->ready_fd);
    bz_cond_free(w, agent->wait_cond);
    bz_mutex_free(w, agent->wait_mutex);
    bz_free(w, agent);
}

/* --- A turn ------------------------------------------------------------------------------- */

static bezel_status agent_reset(bezel_agent *a, bezel_error *err)
{
    bezel_tree *tree = NULL;
    uint8_t span[16];
    bezel_status st = bezel_tree_new(&tree, a->engine, err);
    if (st == BEZEL_OK && a->world->random(a->world->ud, span, sizeof span) != BEZEL_OK)
        st = bz_fail(err, BEZEL_ERR_IO, "agent", "the random source of the world failed while making an id");
    if (st != BEZEL_OK) {
        bezel_tree_free(tree);
        return st;
    }
    for (size_t i = 0; i < sizeof span; i++)
        snprintf(a->span + 2 * i, 3, "%02x", span[i]);
    memcpy(a->parent, a->next_parent, sizeof a->parent);
    a->depth = a->next_depth;
    a->next_parent[0] = 0;
    a->next_depth = 0;
    a->n_decisions = 0;
    a->next_role = a->role;
    a->state = BZ_AGENT_IDLE; /* what the last turn had is gone from here on */
    bz_agent_calls_clear(a);
    bz_agent_events_clear(a);
    bezel_tree_free(a->tree);
    a->tree = tree;
    a->call_list = NULL;
    bz_arena_reset(&a->arena);
    bz_strbuf_reset(&a->answer);
    bz_free(a->world, a->forced);
    a->forced = NULL;
    a->n_forced = 0;
    a->n_usages = 0;
    a->step = a->n_bad = a->n_branches = 0;
    a->answer_only = a->tool_choice && strcmp(a->tool_choice, "none") == 0;
    a->answer_lost = a->recorded = 0;
    a->n_tokens_forced = 0;
    a->call_probability = a->name_probability = (double)NAN;
    a->fit_done = 0;
    a->n_fits = 0;
    a->fit_bias = 0;
    a->n_dropped_pending = 0;
    a->stop_reason = BEZEL_STOP_NONE;
    a->first_token_us = -1;
    a->total_us = 0;
    a->final = BEZEL_OK;
    a->error = (bezel_error)BEZEL_ERROR_INIT;
    a->started_ms = a->world->wall_ms(a->world->ud);
    a->started_ns = a->world->monotonic_ns(a->world->ud);
    return BEZEL_OK;
}

/* What a turn begins with: its tools, its prompt's beginning, its constraint, and the question in the history. */
static bezel_status agent_question(bezel_agent *a, const char *text, size_t size, bezel_error *err)
{
    size_t before = a->n_history;
    bezel_status st = bz_agent_history_add(a, BEZEL_ROLE_USER, 0, text, size == SIZE_MAX ? strlen(text) : size, err);
    if (st == BEZEL_OK)
        a->history[before].is_tainted = a->taint_next;
    if (st == BEZEL_OK)
        st = bz_agent_offer(a, a->history[before].text, err); /* looks at the calls of the turn before */
    if (st == BEZEL_OK)
        st = agent_reset(a, err);
    if (st == BEZEL_OK)
        st = bz_agent_offer_decide(a, err);
    if (st == BEZEL_OK)
        st = bz_agent_system_render(a, err);
    if (st == BEZEL_OK)
        st = bz_agent_constraint_make(a, err);
    a->turn_begin = before;
    if (st != BEZEL_OK)
        bz_agent_history_cut(a, before);
    return st;
}

bezel_status bezel_agent_send(bezel_agent *agent, const char *text, size_t size, bezel_error *err)
{
    if (!agent || !text)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "agent", "bezel_agent_send needs an agent and a text");
    if (agent->inside || (agent->state != BZ_AGENT_IDLE && agent->state != BZ_AGENT_FINISHED)) {
        bezel_status st = bz_fail(err, BEZEL_ERR_BUSY, "agent", "a turn runs already");
        return bz_error_hint(err, st, "step until BEZEL_DONE or an error, or cancel first");
    }
    bezel_status st = agent_question(agent, text, size, err);
    if (st != BEZEL_OK)
        return st;
    atomic_store(&agent->cancelled, 0);
    agent->taint_next = 0;
    agent->state = BZ_AGENT_ASK;
    return BEZEL_OK;
}

static bezel_status agent_final(const bezel_agent *a, bezel_error *err)
{
    if (a->final < 0)
        bz_error_copy(err, &a->error);
    return a->final;
}

bezel_status bezel_agent_step(bezel_agent *agent, int64_t budget_us, bezel_error *err)
{
    if (!agent || agent->state == BZ_AGENT_IDLE)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "agent", "no turn runs; bezel_agent_send starts one");
    if (agent->inside)
        return bz_fail(err, BEZEL_ERR_BUSY, "agent", "a tool of this agent cannot step it");
    if (agent->state == BZ_AGENT_FINISHED)
        return agent_final(agent, err);
    const bezel_world *w = agent->world;
    int64_t begin = w->monotonic_ns(w->ud), left = budget_us;
    bezel_status st;
    agent->inside = 1;
    do {
        st = agent_unit(agent, left);
        if (budget_us > 0)
            left = budget_us - (w->monotonic_ns(w->ud) - begin) / 1000;
    } while (agent->state != BZ_AGENT_FINISHED && !agent->fresh_events && st == BEZEL_MORE &&
             (budget_us < 0 || left > 0));
    agent->inside = 0;
    if (agent->fresh_events) {
        agent->fresh_events = 0; /* told once: a host that takes no events still reaches the end */
        return BEZEL_TOKEN;
    }
    return agent->state == BZ_AGENT_FINISHED ? agent_final(agent, err) : st;
}

int32_t bezel_agent_fd(bezel_agent *agent)
{
    if (!agent || !agent->options.background)
        return -1;
    int fd = agent->state == BZ_AGENT_LISTEN ? agent->source.fd(agent->source.ud) : -1;
    return fd >= 0 ? fd : agent->ready_fd;
}

void bezel_agent_cancel(bezel_agent *agent)
{
    if (!agent)
        return;
    bz_mutex_lock(agent->wait_mutex);
    atomic_store(&agent->cancelled, 1);
    bz_cond_broadcast(agent->wait_cond);
    bz_mutex_unlock(agent->wait_mutex);
    agent->source.cancel(agent->source.ud);
}

int64_t bezel_agent_wait_us(const bezel_agent *agent)
{
    return agent && agent->state == BZ_AGENT_WAIT && !agent->inside && !agent->fresh_events ? bz_agent_calls_wait_us(agent) : 0;
}

void bezel_agent_wait(bezel_agent *agent, int64_t timeout_us)
{
    int64_t wait = bezel_agent_wait_us(agent);
    if (timeout_us >= 0 && timeout_us < wait)
        wait = timeout_us;
    if (wait <= 0)
        return;
    bz_mutex_lock(agent->wait_mutex);
    if (!atomic_load(&agent->cancelled))
        bz_cond_wait_ms(agent->wait_cond, agent->wait_mutex, (wait - 1) / 1000 + 1);
    bz_mutex_unlock(agent->wait_mutex);
}

bezel_status bezel_agent_result(bezel_agent *agent, bezel_agent_turn *out, bezel_error *err)
{
    if (!agent || !out || !bz_struct_sized(out))
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "agent",
                       "bezel_agent_result needs an agent and a bezel_agent_turn whose size is set");
    if (agent->state != BZ_AGENT_FINISHED)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "agent", "no turn is finished");
    bezel_agent_turn turn = {.size = sizeof turn,
                             .stop_reason = agent->stop_reason,
                             .text = bz_strbuf_cstr(&agent->answer),
                             .text_size = agent->answer.size,
                             .calls = agent->call_list,
                             .n_steps = agent->step,
                             .first_token_us = agent->first_token_us,
                             .total_us = agent->total_us,
                             .n_forced = agent->n_tokens_forced,
                             .call_probability = agent->call_probability,
                             .name_probability = agent->name_probability};
    for (size_t i = 0; i < agent->n_usages; i++) {
        turn.n_prompt += agent->usages[i].n_prompt;
        turn.n_cached += agent->usages[i].n_cached;
        turn.n_generated += agent->usages[i].n_generated;
        turn.n_dropped += agent->usages[i].n_dropped;
    }
    bz_struct_give(out, &turn, sizeof turn);
    return BEZEL_OK;
}

bezel_session *bezel_agent_session(bezel_agent *agent)
{
    return agent ? agent->session : NULL;
}
