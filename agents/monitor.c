/* SPDX-License-Identifier: MIT */
/* Takes rows of requests and scores. Invariant: a row is in the monitor before the sink is asked, and wholly or not at all; what
 * grows without end are numbers, never lists. It measures time and memory, and judges nothing. */
#include <bezel/chat.h>

#include "monitor_impl.h"

#include "base/alloc.h"
#include "base/options.h"
#include "base/os.h"
#include "base/utf8.h"

#include <math.h>
#include <string.h>

const char *bezel_severity_name(uint32_t severity)
{
    static const char *const names[] = {"", "low", "medium", "high"};
    return severity < sizeof names / sizeof *names ? names[severity] : "";
}

const char *bezel_health_name(uint32_t health)
{
    static const char *const names[] = {"healthy", "degraded", "unhealthy"};
    return health < sizeof names / sizeof *names ? names[health] : "";
}

/* --- Making ------------------------------------------------------------------------------- */

void bezel_monitor_options_init(bezel_monitor_options *out)
{
    memset(out, 0, sizeof *out);
    out->size = sizeof *out;
    out->max_records = 10000;
    out->alert_window = 10;
    out->max_probe_ms = 5000;
    out->score_turns = 1;
}

static bezel_status monitor_thresholds(bezel_monitor *m, const bezel_monitor_options *o, bezel_error *err)
{
    m->defaults = (bezel_monitor_thresholds)BEZEL_THRESHOLDS_INIT;
    m->options.n_thresholds = 0;
    if (o->n_thresholds == 0)
        return BEZEL_OK;
    m->thresholds = bz_zalloc_array(m->world, o->n_thresholds, sizeof *m->thresholds);
    if (m->thresholds == NULL)
        return bz_fail_memory(err, "monitor", "thresholds", o->n_thresholds * sizeof *m->thresholds);
    for (uint32_t i = 0; i < o->n_thresholds; i++) {
        const bezel_monitor_thresholds *t = &o->thresholds[i];
        if (isnan(t->max_response_s) || isnan(t->max_memory_mb) || isnan(t->min_tokens_per_second) || isnan(t->min_success_rate))
            return bz_fail(err, BEZEL_ERR_RANGE, "monitor", "a threshold of %s is no number", t->model ? t->model : "all models");
        if (t->model == NULL) {
            m->defaults = *t;
            continue;
        }
        bezel_monitor_thresholds *to = &m->thresholds[m->options.n_thresholds];
        *to = *t;
        to->model = bz_text_dup(m->world, t->model, SIZE_MAX);
        if (to->model == NULL)
            return bz_fail_memory(err, "monitor", "a threshold", strlen(t->model));
        m->options.n_thresholds++;
    }
    return BEZEL_OK;
}

static bezel_status monitor_check(const bezel_monitor_options *o, bezel_error *err)
{
    if (o->max_records == 0 || o->max_records > 1000000 || o->alert_window == 0 || o->alert_window > 1000 || o->max_probe_ms == 0)
        return bz_fail(err, BEZEL_ERR_RANGE, "monitor",
                       "max_records is %u, expected 1 to 1000000; alert_window %u, expected 1 to 1000; max_probe_ms %u, expected at "
                       "least 1", o->max_records, o->alert_window, o->max_probe_ms);
    if (o->n_thresholds > BZ_MONITOR_MODELS - 1 || (o->n_thresholds && o->thresholds == NULL))
        return bz_fail(err, BEZEL_ERR_RANGE, "monitor", "%u thresholds, expected a list of at most %d", o->n_thresholds,
                       BZ_MONITOR_MODELS - 1);
    if (o->sink != NULL && (o->sink->size != sizeof *o->sink || o->sink->write == NULL))
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "monitor", "the sink has a wrong size or no write function");
    return BEZEL_OK;
}

bezel_status bezel_monitor_new(bezel_monitor **out, bezel_engine *engine, const bezel_monitor_options *options, bezel_error *err)
{
    bezel_monitor_options o;
    *out = NULL;
    bezel_monitor_options_init(&o);
    bezel_status st = bz_options_read(&o, sizeof o, options, "monitor", err);
    if (st == BEZEL_OK)
        st = monitor_check(&o, err);
    if (st != BEZEL_OK)
        return st;
    const bezel_world *w = bezel_engine_world(engine);
    bezel_monitor *m = bz_zalloc(w, sizeof *m);
    if (m == NULL)
        return bz_fail_memory(err, "monitor", "a monitor", sizeof *m);
    m->world = w;
    m->engine = engine;
    m->options = o;
    m->options.thresholds = NULL;
    m->options.sink = NULL;
    if (o.sink != NULL)
        m->sink = *o.sink;
    m->rows = (bz_monitor_ring){.size = sizeof(bz_monitor_row), .max = o.max_records};
    m->scores = (bz_monitor_ring){.size = sizeof(bz_monitor_score), .max = o.max_records};
    st = monitor_thresholds(m, &o, err);
    if (st != BEZEL_OK) {
        bezel_monitor_free(m);
        return st;
    }
    *out = m;
    return BEZEL_OK;
}

void bezel_monitor_free(bezel_monitor *m)
{
    if (m == NULL)
        return;
    const bezel_world *w = m->world;
    for (size_t i = 0; i < m->rows.count; i++)
        bz_free(w, ((bz_monitor_row *)bz_monitor_ring_at(&m->rows, i))->error);
    bz_free(w, m->rows.data);
    bz_free(w, m->scores.data);
    for (uint32_t i = 0; i < m->n_models; i++) {
        bz_free(w, m->models[i]->recent.data);
        bz_free(w, m->models[i]->name);
        bz_free(w, m->models[i]);
    }
    for (uint32_t i = 0; m->thresholds != NULL && i < m->options.n_thresholds; i++)
        bz_free(w, (void *)(uintptr_t)m->thresholds[i].model);
    bz_free(w, m->thresholds);
    for (bz_monitor_tee *t = m->tees, *after; t != NULL; t = after) {
        after = t->after;
        bz_free(w, t);
    }
    bz_free(w, m);
}

/* --- Rings -------------------------------------------------------------------------------- */

void *bz_monitor_ring_at(const bz_monitor_ring *r, size_t i)
{
    return r->data + (r->next + i) % r->count * r->size;
}

/* Room for one more; 0 when memory is out. */
static int ring_grow(bz_monitor_ring *r, const bezel_world *w)
{
    if (r->count < r->capacity || r->count == r->max)
        return 1;
    size_t capacity = r->capacity ? 2 * r->capacity : 16;
    if (capacity > r->max)
        capacity = r->max;
    uint8_t *data = bz_realloc(w, r->data, capacity * r->size);
    if (data == NULL)
        return 0;
    r->data = data;
    r->capacity = capacity;
    return 1;
}

/* Where the next element goes: behind the others, or in the place of the oldest, whose bytes are still there (*is_old). */
static void *ring_push(bz_monitor_ring *r, int *is_old)
{
    *is_old = r->count == r->max;
    size_t i = *is_old ? r->next : r->count++;
    if (*is_old)
        r->next = (r->next + 1) % r->max;
    return r->data + i * r->size;
}

/* --- Models ------------------------------------------------------------------------------- */

bz_monitor_model *bz_monitor_model_of(bezel_monitor *m, const char *name, uint32_t *out_index)
{
    const char *known = name != NULL ? name : "";
    uint32_t i = 0;
    while (i < m->n_models && strcmp(m->models[i]->name, known) != 0)
        i++;
    if (i >= BZ_MONITOR_MODELS - 1) {
        i = BZ_MONITOR_MODELS - 1;
        known = "other";
    }
    *out_index = i;
    if (i < m->n_models)
        return m->models[i];
    bz_monitor_model *model = bz_zalloc(m->world, sizeof *model);
    char *copy = model != NULL ? bz_text_dup(m->world, known, SIZE_MAX) : NULL;
    if (copy == NULL) {
        bz_free(m->world, model);
        return NULL;
    }
    model->name = copy;
    model->limits = m->defaults;
    for (uint32_t k = 0; k < m->options.n_thresholds; k++) {
        if (strcmp(m->thresholds[k].model, known) == 0)
            model->limits = m->thresholds[k];
    }
    model->recent = (bz_monitor_ring){.size = sizeof(bz_monitor_recent), .max = m->options.alert_window};
    m->models[i] = model;
    m->n_models = i + 1;
    return model;
}

int bz_monitor_is_model(const bezel_monitor *m, uint32_t i, const char *name)
{
    return name == NULL || strcmp(m->models[i]->name, name) == 0;
}

/* --- Adding ------------------------------------------------------------------------------- */

static void monitor_word(char *to, size_t capacity, const char *word)
{
    size_t n = word != NULL ? strlen(word) : 0;
    if (n >= capacity)
        n = bz_utf8_cut(word, capacity - 1);
    if (n)
        memcpy(to, word, n);
    to[n] = 0;
}

static void monitor_count_decisions(bezel_monitor *m, const bezel_monitor_record *record)
{
    for (uint32_t i = 0; i < record->n_decisions; i++) {
        const bezel_monitor_decision *d = &record->decisions[i];
        uint32_t k = 0;
        while (k < m->n_decisions && (strcmp(m->decisions[k].kind, d->kind) != 0 || strcmp(m->decisions[k].outcome, d->outcome) != 0))
            k++;
        if (k == BZ_MONITOR_DECISIONS)
            continue;
        if (k == m->n_decisions) {
            monitor_word(m->decisions[k].kind, sizeof m->decisions[k].kind, d->kind);
            monitor_word(m->decisions[k].outcome, sizeof m->decisions[k].outcome, d->outcome);
            m->n_decisions++;
        }
        m->decisions[k].n++;
    }
}

/* Everything that needs memory is there: nothing here fails. */
static void monitor_keep_request(bezel_monitor *m, const bezel_monitor_request *r, bz_monitor_model *model, uint32_t index, char *error)
{
    int is_old;
    bz_monitor_row *row = ring_push(&m->rows, &is_old);
    if (is_old)
        bz_free(m->world, row->error);
    *row = (bz_monitor_row){.at_ms = r->at_ms,
                            .duration_us = r->duration_us,
                            .first_token_us = r->first_token_us,
                            .memory_bytes = r->memory_bytes,
                            .allocator_bytes = r->allocator_bytes,
                            .gpu_bytes = r->gpu_bytes,
                            .n_prompt = r->n_prompt,
                            .n_cached = r->n_cached,
                            .n_generated = r->n_generated,
                            .n_input = r->n_input,
                            .tokens_per_second = r->tokens_per_second,
                            .model = index,
                            .is_success = r->is_success != 0,
                            .error = error};
    monitor_word(row->span, sizeof row->span, r->span);
    monitor_word(row->input_hash, sizeof row->input_hash, r->input_hash);
    monitor_word(row->operation, sizeof row->operation, r->operation);
    monitor_word(row->code, sizeof row->code, r->code);
    *(bz_monitor_recent *)ring_push(&model->recent, &is_old) =
        (bz_monitor_recent){r->duration_us, r->memory_bytes, r->tokens_per_second, r->is_success};
    bz_monitor_count_request(model, r);
    bz_monitor_alerts(m, model, r->at_ms + r->duration_us / 1000);
}

static bezel_status monitor_add_request(bezel_monitor *m, const bezel_monitor_request *r, bezel_error *err)
{
    uint32_t index;
    bz_monitor_model *model = bz_monitor_model_of(m, r->model, &index);
    char *error = NULL;
    if (model == NULL || !ring_grow(&m->rows, m->world) || !ring_grow(&model->recent, m->world))
        return bz_fail_memory(err, "monitor", "a request", sizeof(bz_monitor_row));
    if (r->error != NULL) {
        size_t n = strlen(r->error);
        error = bz_text_dup(m->world, r->error, n > BZ_MONITOR_TEXT ? bz_utf8_cut(r->error, BZ_MONITOR_TEXT) : n);
        if (error == NULL)
            return bz_fail_memory(err, "monitor", "an error", n);
    }
    monitor_keep_request(m, r, model, index, error);
    return BEZEL_OK;
}

static void monitor_keep_scores(bezel_monitor *m, const bezel_monitor_quality *q, bz_monitor_model *model, uint32_t index)
{
    const double scores[] = {q->relevance, q->coherence, q->safety, q->accuracy};
    int is_old;
    bz_monitor_score *row = ring_push(&m->scores, &is_old);
    *row = (bz_monitor_score){.at_ms = q->at_ms,
                              .relevance = q->relevance,
                              .coherence = q->coherence,
                              .safety = q->safety,
                              .accuracy = q->accuracy,
                              .satisfaction = q->satisfaction,
                              .model = index,
                              .has_reference = q->has_reference};
    monitor_word(row->span, sizeof row->span, q->span);
    model->n_scores++;
    for (int i = 0; i < 4; i++)
        model->scores[i] += scores[i];
    if (!isnan(q->satisfaction)) {
        model->n_satisfaction++;
        model->scores[4] += q->satisfaction;
    }
}

static bezel_status monitor_record_check(const bezel_monitor_record *r, bezel_error *err)
{
    if (r->size != sizeof *r || (r->request == NULL && r->quality == NULL && r->n_decisions == 0) ||
        (r->request != NULL && r->request->size != sizeof *r->request) ||
        (r->quality != NULL && r->quality->size != sizeof *r->quality) || (r->n_decisions && r->decisions == NULL))
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "monitor", "the record is empty, has a part of a wrong size or a list that is missing");
    for (uint32_t i = 0; i < r->n_decisions; i++) {
        if (r->decisions[i].kind == NULL || r->decisions[i].outcome == NULL)
            return bz_fail(err, BEZEL_ERR_ARGUMENT, "monitor", "decision %u has no kind or outcome", i);
    }
    return BEZEL_OK;
}

bezel_status bezel_monitor_add(bezel_monitor *m, const bezel_monitor_record *record, bezel_error *err)
{
    bz_monitor_model *scored = NULL;
    uint32_t scored_index = 0;
    m->n_changes = 0;
    bezel_status st = monitor_record_check(record, err);
    if (st != BEZEL_OK)
        return st;
    if (record->quality != NULL) {
        scored = bz_monitor_model_of(m, record->quality->model, &scored_index);
        if (scored == NULL || !ring_grow(&m->scores, m->world))
            return bz_fail_memory(err, "monitor", "scores", sizeof(bz_monitor_score));
    }
    if (record->request != NULL)
        st = monitor_add_request(m, record->request, err);
    if (st != BEZEL_OK)
        return st;
    if (scored != NULL)
        monitor_keep_scores(m, record->quality, scored, scored_index);
    monitor_count_decisions(m, record);
    if (m->sink.write == NULL)
        return BEZEL_OK;
    bezel_monitor_record whole = *record;
    whole.health = NULL;
    whole.alerts = m->changes;
    whole.n_alerts = m->n_changes;
    st = m->sink.write(m->sink.ud, &whole, err);
    return st > 0 ? BEZEL_OK : st;
}

/* --- Requests by hand --------------------------------------------------------------------- */

static int64_t monitor_now_us(const bezel_monitor *m)
{
    return m->world->monotonic_ns(m->world->ud) / 1000;
}

void bezel_monitor_begin(bezel_monitor_request *out, const bezel_monitor *m)
{
    *out = (bezel_monitor_request){
        .size = sizeof *out, .at_ms = m->world->wall_ms(m->world->ud), .duration_us = monitor_now_us(m), .operation = "chat"};
}

static void monitor_measure(const bezel_monitor *m, bezel_monitor_request *r)
{
    r->memory_bytes = bz_os_resident_bytes();
    bezel_engine_memory(m->engine, &r->allocator_bytes, NULL);
    if (r->tokens_per_second <= 0 && r->duration_us > 0)
        r->tokens_per_second = (double)r->n_generated * 1e6 / (double)r->duration_us;
}

void bezel_monitor_measure(bezel_monitor_request *request, const bezel_monitor *m)
{
    request->duration_us = monitor_now_us(m) - request->duration_us;
    monitor_measure(m, request);
}

bezel_status bezel_monitor_end(bezel_monitor *m, bezel_monitor_request *request, bezel_error *err)
{
    bezel_monitor_measure(request, m);
    const bezel_monitor_record record = {.size = sizeof record, .request = request};
    return bezel_monitor_add(m, &record, err);
}

bezel_status bezel_monitor_evaluate(bezel_monitor_quality *out, bezel_monitor *m, const bezel_monitor_answer *answer, bezel_error *err)
{
    bezel_monitor_quality q;
    if (answer->size != sizeof *answer || answer->question == NULL || answer->answer == NULL)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "monitor", "the answer has a wrong size, or question or answer is NULL");
    bezel_status st = bz_monitor_score_answer(&q, m->world, answer, err);
    if (st != BEZEL_OK)
        return st;
    if (m->options.score != NULL) {
        bezel_monitor_quality own = q;
        m->options.score(m->options.score_ud, answer, &own);
        double *const to[] = {&q.relevance, &q.coherence, &q.safety, &q.accuracy, &q.satisfaction};
        const double from[] = {own.relevance, own.coherence, own.safety, own.accuracy, own.satisfaction};
        for (size_t i = 0; i < sizeof to / sizeof *to; i++) {
            if (!isnan(from[i]))
                *to[i] = fmin(1, fmax(0, from[i]));
        }
    }
    q.at_ms = m->world->wall_ms(m->world->ud);
    if (out != NULL)
        *out = q;
    const bezel_monitor_record record = {.size = sizeof record, .quality = &q};
    return bezel_monitor_add(m, &record, err);
}

/* --- Turns of agents ---------------------------------------------------------------------- */

static void tee_request(bezel_monitor_request *r, const bezel_journal_turn *turn)
{
    *r = (bezel_monitor_request){.size = sizeof *r,
                                 .is_success = turn->status == NULL && turn->error == NULL,
                                 .at_ms = turn->started_ms,
                                 .duration_us = turn->duration_us,
                                 .model = turn->model,
                                 .user = turn->user,
                                 .conversation = turn->conversation,
                                 .operation = "chat",
                                 .code = turn->status,
                                 .error = turn->error,
                                 .span = turn->span};
    for (uint32_t i = 0; i < turn->n_usages; i++) {
        r->n_prompt += turn->usages[i].n_prompt;
        r->n_cached += turn->usages[i].n_cached;
        r->n_generated += turn->usages[i].n_generated;
        r->stop_reason = bezel_stop_name(turn->usages[i].stop_reason);
    }
    if (turn->n_usages)
        r->first_token_us = turn->usages[0].first_token_us;
    for (uint32_t i = 0; i < turn->n_messages; i++) {
        if (turn->messages[i].role == BEZEL_ROLE_USER)
            r->n_input += bz_utf8_count(turn->messages[i].text, turn->messages[i].text_size);
    }
}

/* Scores the last answer to the first question of a turn that went well. */
static void tee_score(bezel_monitor *m, const bezel_journal_turn *turn)
{
    bezel_monitor_answer answer = {.size = sizeof answer,
                                   .satisfaction = (double)NAN,
                                   .model = turn->model,
                                   .user = turn->user,
                                   .span = turn->span};
    for (uint32_t i = 0; i < turn->n_messages; i++) {
        if (turn->messages[i].role == BEZEL_ROLE_USER && answer.question == NULL)
            answer.question = turn->messages[i].text;
        if (turn->messages[i].role == BEZEL_ROLE_ASSISTANT)
            answer.answer = turn->messages[i].text;
    }
    if (answer.question != NULL && answer.answer != NULL && bezel_monitor_evaluate(NULL, m, &answer, NULL) < 0)
        m->n_lost++;
}

static bezel_status tee_write(void *ud, const bezel_journal_turn *turn, bezel_error *err)
{
    bz_monitor_tee *t = ud;
    bezel_monitor *m = t->monitor;
    bezel_error why = BEZEL_ERROR_INIT;
    bezel_status st = t->next.write != NULL ? t->next.write(t->next.ud, turn, &why) : BEZEL_OK;
    bezel_monitor_request request;
    tee_request(&request, turn);
    if (st < 0 && request.is_success) {
        request.is_success = 0;
        request.code = bezel_status_name(st);
        request.error = why.text;
    }
    monitor_measure(m, &request);
    const bezel_monitor_record record = {.size = sizeof record, .request = &request};
    if (bezel_monitor_add(m, &record, NULL) < 0)
        m->n_lost++;
    if (request.is_success && m->options.score_turns)
        tee_score(m, turn);
    if (st < 0)
        bz_error_copy(err, &why);
    return st;
}

bezel_status bezel_monitor_journal(const bezel_journal **out, bezel_monitor *m, const bezel_journal *next, bezel_error *err)
{
    *out = NULL;
    if (next != NULL && (next->size != sizeof *next || next->write == NULL))
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "monitor", "the journal has a wrong size or no write function");
    bezel_journal to = {.size = sizeof to};
    if (next != NULL)
        to = *next;
    bz_monitor_tee *t = m->tees;
    while (t != NULL && (t->next.ud != to.ud || t->next.write != to.write))
        t = t->after;
    if (t == NULL) {
        t = bz_zalloc(m->world, sizeof *t);
        if (t == NULL)
            return bz_fail_memory(err, "monitor", "a journal", sizeof *t);
        *t = (bz_monitor_tee){.after = m->tees, .monitor = m, .journal = {sizeof t->journal, 0, t, tee_write}, .next = to};
        m->tees = t;
    }
    *out = &t->journal;
    return BEZEL_OK;
}
