/* SPDX-License-Identifier: MIT */
/* See constraint_run.h.
 *
 * Free text: the line at hand is compared with the opening of a call; when it is there the machine takes over with what the
 * token brought beyond it, and a token whose rest does not fit is refused and picked anew.
 * Forced text: its bytes are tokenised together with the token before them, because that is how a model would have seen them.
 * If that token changes, or the last one could have been longer, it is left to the ordinary way, so forced tokens are those of
 * the canonical tokenisation of the whole text. */
#include "generate/constraint_run.h"

#include "base/alloc.h"
#include "base/status.h"
#include "base/strbuf.h"
#include "generate/call_evidence.h"
#include "generate/logit_filter.h"
#include "model/model_impl.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { RUN_LINE = 64, RUN_FORCED_BYTES = 512, RUN_CLOSE = 128, RUN_NEAR = 48, RUN_REFUSED = 64 };

/* The names that the next token decides between. */
typedef struct run_names {
    const bz_call_text *names; /* [n] sorted; NULL: it decides no name */
    uint32_t n, at;            /* at: bytes of each that were read */
    char before[RUN_LINE];     /* what must come before them */
    size_t n_before;
    int are_weighed;
} run_names;

struct bz_constraint_run {
    const bezel_world *world;
    const bezel_constraint *constraint;
    const bz_vocab *vocab;
    bz_token_mask mask;
    bz_call_state state;
    uint32_t choice; /* BEZEL_CALLS_... */
    int active;      /* the machine reads; else the text is free */
    int spaced;
    float bias;
    double probability;
    char line[RUN_LINE]; /* free text: the line so far, as far as it may be a trigger */
    size_t line_size;
    int line_open;       /* it still may */
    size_t n_taken;
    int32_t last;
    int32_t banned;      /* free text: a token that would begin a call where none may be, -1 = none */
    bz_ids forced, closing; /* closing: what would end the answer */
    size_t forced_at;    /* the next of them */
    bz_strbuf text;      /* bytes that are forced */
    int32_t *rows;       /* [BZ_CONSTRAINT_ROWS + constraint->n_ends] */
    size_t n_rows;
    size_t n_legal;      /* end tokens not counted */
    int is_masked;       /* mask.bits are those of state */
    int can_end;
    int is_cut;          /* nothing is left but to end the answer */
    size_t left, need;   /* tokens that there is room for, that ending takes */
    size_t close_at;     /* tokens left from which on that is looked at */
    int is_near;         /* what the next token leaves to be ended counts */
    int32_t refused[RUN_REFUSED]; /* [n_refused] tokens that would leave too much */
    size_t n_refused;
    float *weights;      /* [n_weights] of the functions where a name is chosen, or NULL */
    uint8_t *is_called;  /* [n_weights] */
    double *chances;     /* [n_weights] of the first name: product over its tokens of the probability of those that lead to it */
    uint32_t n_weights;
    run_names names;
    bz_call_evidence *evidence; /* NULL: none was given */
    int is_weighed;      /* it was added to the logits at hand */
    double name_probability; /* of the first name */
    uint32_t n_named;
};

static void run_start_line(bz_constraint_run *run)
{
    run->line_size = 0;
    run->line_open = 1;
}

static void run_start_machine(bz_constraint_run *run, int spaced)
{
    bz_call_start(&run->state, run->constraint->form, spaced, &run->state);
    run->active = 1;
    run->is_masked = 0;
}

static int run_is_space(uint8_t c)
{
    return c == ' ' || c == '\n' || c == '\t';
}

bezel_status bz_constraint_run_new(bz_constraint_run **out, const bezel_world *w, const bezel_generate_options *o, int32_t last,
                                   bezel_error *err)
{
    *out = NULL;
    const bezel_constraint *c = o->constraint;
    bz_constraint_run *run = bz_zalloc(w, sizeof *run);
    if (run == NULL)
        return bz_fail_memory(err, "constraint", "a constrained generation", sizeof *run);
    run->world = w;
    run->constraint = c;
    run->vocab = c->model->vocab;
    run->choice = o->calls;
    run->bias = o->call_bias;
    run->probability = (double)NAN;
    run->close_at = RUN_CLOSE;
    run->last = last;
    bz_ids_init(&run->forced, w);
    bz_ids_init(&run->closing, w);
    bz_strbuf_init(&run->text, w, 0);
    run->spaced = bz_vocab_wants_blank(run->vocab, last);
    run->banned = -1;
    run->rows = bz_zalloc_array(w, BZ_CONSTRAINT_ROWS + c->n_ends, sizeof *run->rows);
    run->name_probability = (double)NAN;
    if (c->form->root == BZ_CALL_ROOT_CALLS && o->n_function_bias > 0) {
        run->weights = bz_zalloc_array(w, o->n_function_bias, sizeof *run->weights);
        run->is_called = bz_zalloc_array(w, o->n_function_bias, sizeof *run->is_called);
        run->chances = bz_zalloc_array(w, o->n_function_bias, sizeof *run->chances);
        run->n_weights = o->n_function_bias;
    }
    const int is_short = run->rows == NULL || (run->n_weights > 0 && (run->weights == NULL || run->is_called == NULL || run->chances == NULL));
    for (uint32_t i = 0; i < run->n_weights && !is_short; i++) {
        run->weights[i] = o->function_bias[i];
        run->chances[i] = 1.0;
    }
    bezel_status status = is_short ? bz_fail_memory(err, "constraint", "rows", BZ_CONSTRAINT_ROWS * 4)
                                            : bz_token_mask_init(&run->mask, w, c->form, c->trie, run->vocab, &c->marks, err);
    if (status == BEZEL_OK && o->evidence != NULL && o->evidence_weight > 0 && c->form->root == BZ_CALL_ROOT_CALLS)
        status = bz_call_evidence_new(&run->evidence, w, c->form, bz_vocab_size(run->vocab), o->evidence, o->evidence_weight, err);
    if (status != BEZEL_OK) {
        bz_constraint_run_free(run);
        return status;
    }
    for (uint32_t i = 0; i < o->n_made_calls; i++)
        bz_call_forbid(&run->state, o->made_calls[i], strlen(o->made_calls[i]));
    run_start_line(run);
    if (c->form->root != BZ_CALL_ROOT_CALLS || o->calls == BEZEL_CALLS_REQUIRED)
        run_start_machine(run, run->spaced);
    *out = run;
    return BEZEL_OK;
}

void bz_constraint_run_free(bz_constraint_run *run)
{
    if (run == NULL)
        return;
    bz_ids_free(&run->forced);
    bz_ids_free(&run->closing);
    bz_strbuf_free(&run->text);
    bz_token_mask_free(&run->mask, run->world);
    bz_free(run->world, run->rows);
    bz_free(run->world, run->weights);
    bz_free(run->world, run->is_called);
    bz_free(run->world, run->chances);
    bz_call_evidence_free(run->evidence);
    bz_free(run->world, run);
}

/* ---- names ------------------------------------------------------------------------------------------------------------ */

/* Where the next token decides between names, also when something that must come stands before them: which. */
static void run_find_names(bz_constraint_run *run)
{
    const bz_call_form *f = run->constraint->form;
    bz_call_state state;
    run_names *n = &run->names;
    int byte = 0;
    *n = (run_names){0};
    if (run->weights == NULL || f->n_names < 2)
        return;
    bz_call_copy(&state, &run->state);
    while (!bz_call_in_name(&state, f, &n->names, &n->n, &n->at)) {
        byte = n->n_before < RUN_LINE ? bz_call_forced_byte(&state, f) : -1;
        if (byte < 0 || !bz_call_feed(&state, f, (uint8_t)byte))
            return;
        n->before[n->n_before++] = (char)byte;
    }
}

/* May the token lead to name i? */
static int run_leads_to(const run_names *n, uint32_t i, const uint8_t *bytes, size_t size)
{
    const bz_call_text *name = &n->names[i];
    const size_t before = size < n->n_before ? size : n->n_before, left = name->size - n->at;
    const size_t rest = size - before < left ? size - before : left;
    return memcmp(bytes, n->before, before) == 0 && memcmp(bytes + before, name->bytes + n->at, rest) == 0;
}

static float run_weight(const bz_constraint_run *run, uint32_t i)
{
    const uint32_t function = run->names.names[i].function;
    return function < run->n_weights ? run->weights[function] : 0.0F;
}

/* Adds to each row the largest weight of the names that it leads to, and notes how probable each name is by that. */
static void run_weigh_names(bz_constraint_run *run, float *logits)
{
    run_names *n = &run->names;
    double most = (double)-INFINITY, sum = 0.0;
    if (n->names == NULL || n->are_weighed)
        return;
    n->are_weighed = 1;
    for (size_t r = 0; r < run->n_rows; r++) {
        size_t size = 0;
        float weight = -FLT_MAX, *logit = &logits[run->rows[r]];
        const uint8_t *bytes = bz_vocab_trie_token(run->constraint->trie, run->rows[r], &size);
        for (uint32_t i = 0; bytes != NULL && i < n->n; i++)
            if (run_leads_to(n, i, bytes, size) && run_weight(run, i) > weight)
                weight = run_weight(run, i);
        *logit += weight > -FLT_MAX ? weight : 0.0F;
        most = (double)*logit > most ? (double)*logit : most;
    }
    for (size_t r = 0; r < run->n_rows; r++)
        sum += exp((double)logits[run->rows[r]] - most);
    for (uint32_t i = 0; i < n->n && run->n_named == 0; i++) {
        double leading = 0.0;
        for (size_t r = 0; r < run->n_rows; r++) {
            size_t size = 0;
            const uint8_t *bytes = bz_vocab_trie_token(run->constraint->trie, run->rows[r], &size);
            if (bytes != NULL && run_leads_to(n, i, bytes, size))
                leading += exp((double)logits[run->rows[r]] - most);
        }
        if (n->names[i].function < run->n_weights)
            run->chances[n->names[i].function] *= leading / sum;
    }
}

/* A function that was called weighs no more than the best of those that were not: between them the model decides. */
static void run_lower_weight(bz_constraint_run *run, uint32_t function)
{
    float best = -FLT_MAX;
    if (function >= run->n_weights)
        return;
    run->is_called[function] = 1;
    for (uint32_t i = 0; i < run->n_weights; i++)
        if (!run->is_called[i] && run->weights[i] > best)
            best = run->weights[i];
    if (best > -FLT_MAX && run->weights[function] > best)
        run->weights[function] = best;
}

/* A token came that the names were weighed for. */
static void run_note_name(bz_constraint_run *run, int32_t id)
{
    const run_names *n = &run->names;
    size_t size = 0;
    const uint8_t *bytes = bz_vocab_trie_token(run->constraint->trie, id, &size);
    uint32_t left = 0, last = 0;
    if (!n->are_weighed || bytes == NULL)
        return;
    for (uint32_t i = 0; i < n->n; i++)
        if (run_leads_to(n, i, bytes, size)) {
            left++;
            last = i;
        }
    if (left != 1)
        return;
    if (run->n_named++ == 0 && n->names[last].function < run->n_weights)
        run->name_probability = run->chances[n->names[last].function];
    run_lower_weight(run, n->names[last].function);
}

/* ---- before a token --------------------------------------------------------------------------------------------------- */

/* The bytes that must come, into text; the state behind them is not kept. */
static void run_collect_forced(bz_constraint_run *run)
{
    bz_call_state state;
    const bz_call_form *f = run->constraint->form;
    bz_strbuf_reset(&run->text);
    bz_call_copy(&state, &run->state);
    while (run->text.size < RUN_FORCED_BYTES) {
        const int byte = bz_call_forced_byte(&state, f);
        if (byte < 0 || byte >= BZ_CALL_MARK_OPEN || !bz_call_feed(&state, f, (uint8_t)byte))
            break;
        bz_strbuf_char(&run->text, (char)byte);
    }
}

/* How many tokens of `all` [n], which spell text, are the same whatever comes behind it: those before the first whose
 * beginning some token could follow beyond the end. */
static size_t run_settled(const bz_constraint_run *run, const int32_t *ids, size_t n, const char *text, size_t size)
{
    size_t at = 0, token;
    for (size_t i = 0; i < n; i++, at += token) {
        if (bz_vocab_trie_token(run->constraint->trie, ids[i], &token) == NULL || at + token > size ||
            bz_vocab_trie_continues(run->constraint->trie, text + at, size - at))
            return i;
    }
    return n;
}

/* Tokens of the forced bytes, as far as they are those of the whole text. */
static bezel_status run_tokenize_forced(bz_constraint_run *run, bezel_error *err)
{
    size_t size = 0;
    const uint8_t *before = bz_vocab_trie_token(run->constraint->trie, run->last, &size);
    const size_t skip = before != NULL ? 1 : 0;
    bz_strbuf all;
    run->forced.count = run->forced_at = 0;
    if (run->text.status != BEZEL_OK)
        return bz_fail_memory(err, "constraint", "forced text", RUN_FORCED_BYTES);
    if (run->text.size == 0)
        return BEZEL_OK;
    bz_strbuf_init(&all, run->world, 0);
    bz_strbuf_add(&all, before, size);
    bz_strbuf_add(&all, bz_strbuf_cstr(&run->text), run->text.size);
    const bezel_status status = all.status == BEZEL_OK
                                    ? bz_tokenize(&run->forced, run->vocab, bz_strbuf_cstr(&all), all.size, 0, err)
                                    : bz_fail_memory(err, "constraint", "forced text", run->text.size);
    size_t n = status == BEZEL_OK ? run_settled(run, run->forced.ids, run->forced.count, bz_strbuf_cstr(&all), all.size) : 0;
    bz_strbuf_free(&all);
    if (n <= skip || (skip == 1 && run->forced.ids[0] != run->last))
        n = skip; /* nothing is settled, or the token before would have been another */
    if (n > skip)
        memmove(run->forced.ids, run->forced.ids + skip, (n - skip) * sizeof *run->forced.ids);
    run->forced.count = n - skip;
    return status;
}

/* End tokens among the rows, which are sorted. */
static void run_add_ends(bz_constraint_run *run)
{
    for (size_t i = 0; i < run->constraint->n_ends; i++) {
        size_t k = run->n_rows++;
        for (; k > 0 && run->rows[k - 1] > run->constraint->ends[i]; k--)
            run->rows[k] = run->rows[k - 1];
        run->rows[k] = run->constraint->ends[i];
    }
}

static void run_fill_mask(bz_constraint_run *run)
{
    size_t n = bz_token_mask_fill(&run->mask, &run->state);
    run->can_end = bz_call_can_end(&run->state, run->constraint->form);
    if (n == 0 && !run->can_end && run->state.n_made > 0) { /* every way on repeats a call: then it may */
        run->state.n_made = 0;
        n = bz_token_mask_fill(&run->mask, &run->state);
    }
    run->is_masked = 1;
    run->n_legal = n;
    run->n_rows = bz_token_mask_rows(&run->mask, run->rows);
    if (run->can_end && n <= BZ_CONSTRAINT_ROWS)
        run_add_ends(run);
}

/* Inside of a string that goes on nearly all tokens are legal: their mask is made when one does not fit. */
static int run_is_open(const bz_constraint_run *run)
{
    bz_call_site site;
    const uint32_t longest = (uint32_t)bz_vocab_trie_longest(run->constraint->trie);
    return bz_call_in_string(&site, &run->state, run->constraint->form, longest) == BZ_CALL_STRING_PLAIN && site.most > site.count;
}

/* All of them at once, or only the next, so that the tokens are the same either way. */
static bezel_status run_plan_forced(bz_constraint_plan *out, bz_constraint_run *run, int jump)
{
    run->is_near = 0; /* there is no other way */
    *out = jump ? BZ_PLAN_FORCED : BZ_PLAN_ROWS;
    run->rows[0] = run->forced.ids[run->forced_at];
    run->n_rows = 1;
    return BEZEL_OK;
}

/* Tokens that ending the answer from a state takes, at most; `closing` are the first of them, up to a control token. */
static bezel_status run_closing(size_t *out_need, bz_constraint_run *run, const bz_call_state *state, bezel_error *err)
{
    char text[RUN_FORCED_BYTES];
    const size_t n = bz_call_closing(text, sizeof text, state, run->constraint->form);
    const bz_token_marks *m = &run->constraint->marks;
    size_t part = 0;
    bezel_status status = BEZEL_OK;
    while (part < n && (uint8_t)text[part] < BZ_CALL_MARK_OPEN)
        part++;
    run->closing.count = 0;
    if (part > 0)
        status = bz_tokenize(&run->closing, run->vocab, text, part, 0, err);
    else if (n > 0)
        bz_ids_add(&run->closing, (uint8_t)text[0] == BZ_CALL_MARK_OPEN    ? m->open
                                 : (uint8_t)text[0] == BZ_CALL_MARK_CLOSE ? m->close
                                                                          : m->string);
    if (status == BEZEL_OK && run->closing.status != BEZEL_OK)
        status = bz_fail_memory(err, "constraint", "forced text", n);
    *out_need = run->closing.count + (n - part);
    return status;
}

/* Sets is_cut, with `closing`, when there is room for nothing but ending the answer. */
static bezel_status run_look_ahead(bz_constraint_run *run, size_t left, bezel_error *err)
{
    run->left = left;
    run->is_near = 0;
    if (left > run->close_at)
        return BEZEL_OK;
    const bezel_status status = run_closing(&run->need, run, &run->state, err);
    run->is_cut |= run->need > 0 && (run->need == left || run->need + 1 == left);
    run->is_near = !run->is_cut && run->need <= left;
    if (left > run->need + RUN_NEAR)
        run->close_at = run->need + RUN_NEAR;
    return status;
}

/* 1 when a token would leave more to be ended than there is room for: it is illegal then. */
static int run_goes_too_far(bz_constraint_run *run, const bz_call_state *next, int32_t id)
{
    size_t need = 0;
    if (!run->is_near || run->n_refused == RUN_REFUSED || run_closing(&need, run, next, NULL) != BEZEL_OK || need < run->left)
        return 0;
    run->refused[run->n_refused++] = id;
    return 1;
}

/* The answer is ended whatever the model says. */
static bezel_status run_plan_closing(bz_constraint_plan *out, bz_constraint_run *run, int jump, bezel_error *err)
{
    run->forced.count = run->forced_at = 0;
    for (size_t i = 0; i < run->closing.count; i++)
        bz_ids_add(&run->forced, run->closing.ids[i]);
    if (run->forced.status != BEZEL_OK)
        return bz_fail_memory(err, "constraint", "forced text", run->closing.count * sizeof *run->closing.ids);
    *out = BZ_PLAN_END;
    return run->forced.count > 0 ? run_plan_forced(out, run, jump) : BEZEL_OK;
}

bezel_status bz_constraint_run_plan(bz_constraint_plan *out, bz_constraint_run *run, int jump, size_t left, bezel_error *err)
{
    *out = BZ_PLAN_FREE;
    run->names = (run_names){0};
    run->is_weighed = 0;
    if (!run->active)
        return BEZEL_OK;
    if (run->forced_at < run->forced.count)
        return run_plan_forced(out, run, jump);
    if (bz_call_must_end(&run->state, run->constraint->form)) {
        *out = BZ_PLAN_END;
        return BEZEL_OK;
    }
    const bezel_status looked = run_look_ahead(run, left, err);
    if (looked != BEZEL_OK || run->is_cut)
        return looked != BEZEL_OK ? looked : run_plan_closing(out, run, jump, err);
    if (bz_call_between(&run->state, run->constraint->form)) {
        *out = BZ_PLAN_NEXT;
        return BEZEL_OK;
    }
    run_collect_forced(run);
    const bezel_status status = run_tokenize_forced(run, err);
    if (status != BEZEL_OK || run->forced.count > 0)
        return status != BEZEL_OK ? status : run_plan_forced(out, run, jump);
    *out = BZ_PLAN_MASK;
    if (run_is_open(run))
        return BEZEL_OK;
    run_fill_mask(run);
    if (run->n_rows > 0) {
        *out = BZ_PLAN_ROWS;
        run_find_names(run);
    } else if (run->n_legal == 0)
        return bz_fail(err, BEZEL_ERR_UNSUPPORTED, "constraint", "no token can follow token %zu of the answer", run->n_taken);
    return BEZEL_OK;
}

const int32_t *bz_constraint_run_forced(const bz_constraint_run *run, size_t *out_n)
{
    *out_n = run->forced.count - run->forced_at;
    return run->forced.ids + run->forced_at;
}

const int32_t *bz_constraint_run_rows(const bz_constraint_run *run, size_t *out_n)
{
    *out_n = run->n_rows;
    return run->rows;
}

/* What the evidence says about the tokens that may come. */
static void run_weigh_values(bz_constraint_run *run, float *logits)
{
    const bz_vocab_trie *trie = run->constraint->trie;
    if (run->evidence == NULL || run->is_weighed)
        return;
    run->is_weighed = 1;
    for (size_t i = 0; i < run->n_rows; i++) {
        size_t size = 0;
        const uint8_t *bytes = bz_vocab_trie_token(trie, run->rows[i], &size);
        if (bytes != NULL && !bz_vocab_is_end(run->vocab, run->rows[i]))
            logits[run->rows[i]] += bz_call_evidence_weigh(run->evidence, &run->state, bytes, size);
    }
    if (run->n_rows == 0 && bz_call_evidence_speaks(run->evidence))
        bz_call_evidence_add(run->evidence, &run->state, trie, logits);
}

void bz_constraint_run_mask(bz_constraint_run *run, float *logits, size_t V)
{
    if (!run->active && run->banned >= 0)
        logits[run->banned] = -FLT_MAX;
    if (!run->active)
        return;
    if (!run->is_masked)
        run_fill_mask(run);
    for (size_t i = 0; run->can_end && i < run->constraint->n_ends; i++)
        bz_token_set_add(&run->mask.set, run->constraint->ends[i]);
    bz_token_mask_apply(&run->mask, logits, V);
    run_weigh_names(run, logits);
    run_weigh_values(run, logits);
    for (size_t i = 0; i < run->n_refused; i++)
        logits[run->refused[i]] = -FLT_MAX;
}

/* A token of blanks begins a call and everything else. */
static int run_is_blank(const bz_constraint_run *run, int32_t id)
{
    size_t size = 0, i = 0;
    const uint8_t *bytes = bz_vocab_trie_token(run->constraint->trie, id, &size);
    while (bytes != NULL && i < size && run_is_space(bytes[i]))
        i++;
    return bytes != NULL && i == size;
}

int bz_constraint_run_wants_gate(const bz_constraint_run *run)
{
    return !run->active && run->n_taken == 0 && run->choice == BEZEL_CALLS_AUTO;
}

void bz_constraint_run_gate(bz_constraint_run *run, float *logits, size_t V, bz_thread_pool *pool)
{
    bz_call_state start;
    bz_call_start(&start, run->constraint->form, run->spaced, &run->state);
    (void)bz_token_mask_fill(&run->mask, &start);
    run->is_masked = 0;
    const double total = bz_logit_log_sum(logits, V, pool);
    double mass = 0.0;
    int only_blanks = 1; /* the vocabulary knows no longer beginning */
    for (size_t i = 0; i < V && only_blanks; i++)
        only_blanks = !bz_token_mask_has(&run->mask, (int32_t)i) || run_is_blank(run, (int32_t)i);
    for (size_t i = 0; i < V; i++)
        if (bz_token_mask_has(&run->mask, (int32_t)i) && (only_blanks || !run_is_blank(run, (int32_t)i))) {
            mass += exp((double)logits[i] - total);
            logits[i] += run->bias;
        }
    run->probability = mass;
}

/* ---- after a token ---------------------------------------------------------------------------------------------------- */

static void run_note_line(bz_constraint_run *run, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] == '\n')
            run_start_line(run);
        else if (run->line_open && run->line_size == 0 && run_is_space(bytes[i]))
            continue; /* blanks before a marker are none of its own */
        else if (run->line_open && run->line_size < RUN_LINE)
            run->line[run->line_size++] = (char)bytes[i];
        else
            run->line_open = 0;
    }
}

/* Letters of a marker count in any case, as for the parser of calls. */
static int run_is_same(const char *text, const char *marker, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const int a = text[i] >= 'a' && text[i] <= 'z' ? text[i] - 32 : text[i];
        const int b = marker[i] >= 'a' && marker[i] <= 'z' ? marker[i] - 32 : marker[i];
        if (a != b)
            return 0;
    }
    return 1;
}

/* 1 and the bytes behind the trigger when the line with this token holds one. */
static int run_has_trigger(const bz_constraint_run *run, const uint8_t *bytes, size_t size, size_t *out_rest)
{
    const bz_call_text *trigger = &run->constraint->form->trigger;
    size_t at = run->line_size;
    if (!run->line_open || at > trigger->size || !run_is_same(run->line, trigger->bytes, at))
        return 0;
    for (size_t i = 0; i < size; i++) {
        if (at == 0 && run_is_space(bytes[i]))
            continue;
        if (at == trigger->size) {
            *out_rest = size - i;
            return 1;
        }
        if (!run_is_same((const char *)bytes + i, trigger->bytes + at, 1))
            return 0;
        at++;
    }
    *out_rest = 0;
    return at == trigger->size;
}

/* A model may forget the marker: 1 when the line with this token begins with a name and what opens its arguments. */
static int run_has_name(const bz_constraint_run *run, const uint8_t *bytes, size_t size)
{
    const bz_call_form *f = run->constraint->form;
    size_t skip = 0;
    while (run->line_size == 0 && skip < size && run_is_space(bytes[skip]))
        skip++;
    for (uint32_t i = 0; run->line_open && strcmp(f->dialect.args_open, "(") == 0 && i < f->n_names; i++) {
        const bz_call_text *name = &f->names[i];
        const size_t line = run->line_size;
        if (line < name->size && line + size - skip >= name->size && memcmp(run->line, name->bytes, line) == 0 &&
            memcmp(bytes + skip, name->bytes + line, name->size - line) == 0)
            return 1;
    }
    return 0;
}

/* A call that begins with its name: as if the marker had come. */
static int run_take_name(bz_constraint_run *run, int32_t id, const uint8_t *bytes, size_t size)
{
    const bz_call_text *open = &run->constraint->form->first_open;
    bz_call_state state;
    size_t skip = 0;
    if (run->choice == BEZEL_CALLS_NONE) {
        run->banned = id;
        return 0;
    }
    while (run->line_size == 0 && skip < size && run_is_space(bytes[skip]))
        skip++;
    run_start_machine(run, 0);
    (void)bz_call_feed_bytes(&run->state, run->constraint->form, open->bytes, open->size);
    (void)bz_call_feed_bytes(&run->state, run->constraint->form, run->line, run->line_size);
    bz_call_copy(&state, &run->state);
    if (!bz_call_feed_bytes(&state, run->constraint->form, (const char *)bytes + skip, size - skip))
        return 0;
    bz_call_copy(&run->state, &state);
    return 1;
}

/* Free text: does the marker of a call end in this token? The machine takes over then. */
static int run_take_free(bz_constraint_run *run, int32_t id, const uint8_t *bytes, size_t size)
{
    const bz_call_text *trigger = &run->constraint->form->trigger;
    bz_call_state state;
    size_t rest = 0;
    if (bytes == NULL || run->constraint->form->dialect.list_open[0] != '\0' || trigger->size == 0 ||
        !run_has_trigger(run, bytes, size, &rest)) {
        if (bytes != NULL && run->constraint->form->dialect.list_open[0] == '\0' && run_has_name(run, bytes, size))
            return run_take_name(run, id, bytes, size);
        run_note_line(run, bytes, size);
        return 1;
    }
    if (run->choice == BEZEL_CALLS_NONE) {
        run->banned = id;
        return 0;
    }
    run_start_machine(run, 0);
    bz_call_copy(&state, &run->state);
    const char *line = trigger->bytes;
    if (bz_call_feed_bytes(&state, run->constraint->form, line, trigger->size) &&
        bz_call_feed_bytes(&state, run->constraint->form, (const char *)bytes + size - rest, rest)) {
        bz_call_copy(&run->state, &state);
        return 1;
    }
    /* what stood before the token is the beginning of the trigger */
    (void)bz_call_feed_bytes(&run->state, run->constraint->form, line, run->line_size);
    return 0;
}

/* Dialects without a marker of their own, and those with a control token: a call begins with the answer or with the token. */
static int run_begins_call(bz_constraint_run *run, int32_t id)
{
    const bz_call_dialect *d = &run->constraint->form->dialect;
    bz_call_state state;
    const int is_mark = id >= 0 && id == run->constraint->marks.open;
    if (!is_mark && (run->n_taken > 0 || d->list_open[0] == '\0'))
        return 0;
    bz_call_start(&state, run->constraint->form, run->spaced && !is_mark, &run->state);
    if (!bz_token_mask_accepts(&run->mask, &state, id) || bz_vocab_is_end(run->vocab, id))
        return 0;
    bz_call_copy(&run->state, &state);
    run->active = 1;
    return 1;
}

int bz_constraint_run_take(bz_constraint_run *run, int32_t id)
{
    size_t size;
    int ok;
    if (run->active) {
        bz_call_state next;
        bz_call_copy(&next, &run->state);
        ok = bz_token_mask_accepts(&run->mask, &next, id) && !run_goes_too_far(run, &next, id);
        const uint8_t *bytes = ok && run->evidence != NULL ? bz_vocab_trie_token(run->constraint->trie, id, &size) : NULL;
        if (bytes != NULL && !bz_vocab_is_end(run->vocab, id))
            bz_call_evidence_take(run->evidence, &run->state, bytes, size);
        if (ok)
            bz_call_copy(&run->state, &next);
    } else if (run->choice != BEZEL_CALLS_NONE && run_begins_call(run, id)) {
        ok = 1;
    } else {
        const uint8_t *bytes = bz_vocab_trie_token(run->constraint->trie, id, &size);
        ok = run_take_free(run, id, bytes, size);
    }
    if (!ok)
        return 0;
    run_note_name(run, id);
    run->names = (run_names){0};
    if (run->forced_at < run->forced.count && run->forced.ids[run->forced_at] == id)
        run->forced_at++;
    else
        run->forced.count = run->forced_at = 0;
    run->is_masked = 0;
    run->n_refused = 0;
    run->banned = -1;
    run->last = id;
    run->n_taken++;
    return 1;
}

void bz_constraint_run_next(bz_constraint_run *run, float *logits, size_t V)
{
    if (run->evidence == NULL)
        return;
    const float weight = bz_call_evidence_next(run->evidence);
    run_fill_mask(run);
    for (size_t i = 0; i < V; i++)
        if (bz_token_mask_has(&run->mask, (int32_t)i))
            logits[i] += weight;
    run->is_masked = 0;
}

int bz_constraint_run_is_weighed(const bz_constraint_run *run)
{
    return run->evidence != NULL && run->active && bz_call_evidence_speaks(run->evidence);
}

double bz_constraint_run_probability(const bz_constraint_run *run)
{
    return run->probability;
}

int bz_constraint_run_is_cut(const bz_constraint_run *run)
{
    return run->is_cut;
}

double bz_constraint_run_name_probability(const bz_constraint_run *run)
{
    return run->name_probability;
}
