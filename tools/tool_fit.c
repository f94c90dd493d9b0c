/* SPDX-License-Identifier: MIT */
/* How much the declarations of tools say about a question: pointwise mutual information by the model's own probabilities,
 * the same that rank documents for a question. The question stands behind "User:" both times, and is tokenised apart from
 * what comes before it, so that the same tokens are compared. */
#include <bezel/tools.h>

#include <bezel/engine.h>
#include <bezel/session.h>

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "tool_schema.h"

#define ORIGIN "tools"
#define FIT_TOKENS 64u      /* of a question */
#define FIT_APART 16u       /* most tools that are measured each by itself, too */
#define FIT_MOST_BIAS 12.0f /* beyond it the model has no say */
#define FIT_QUESTION "\n\nUser:"

typedef struct fit_side {
    bezel_session *session;
    int32_t *ids;    /* [n_before + FIT_TOKENS] */
    size_t n_before; /* ids before the question */
} fit_side;

struct bezel_tool_fit {
    const bezel_world *world;
    bezel_model *model;
    fit_side without, all;
    fit_side *with; /* [n_with] of each tool by itself, where that is of use */
    size_t n_with;
    int32_t asked[FIT_TOKENS]; /* [n_asked] the question that `without` was scored for */
    size_t n_asked;
    double nothing; /* its log-probability without anything */
};

static bezel_status side_open(fit_side *side, bezel_tool_fit *fit, const char *text, const bezel_session_options *given,
                              bezel_error *err)
{
    bezel_session_options o;
    const size_t size = strlen(text), longest = bezel_model_context_length(fit->model);
    bezel_status st = bezel_tokenize(NULL, 0, &side->n_before, fit->model, text, size, BEZEL_TOKENIZE_BOS, err);
    if (st != BEZEL_OK && st != BEZEL_ERR_LIMIT)
        return st;
    if (side->n_before + FIT_TOKENS > longest)
        return bz_fail(err, BEZEL_ERR_FULL, ORIGIN, "the declarations have %zu tokens, the model has %zu positions",
                       side->n_before, longest);
    side->ids = bz_zalloc_array(fit->world, side->n_before + FIT_TOKENS, sizeof *side->ids);
    if (side->ids == NULL)
        return bz_fail_memory(err, ORIGIN, "the tokens of declarations", side->n_before * sizeof *side->ids);
    st = bezel_tokenize(side->ids, side->n_before, &side->n_before, fit->model, text, size, BEZEL_TOKENIZE_BOS, err);
    if (st != BEZEL_OK)
        return st;
    bezel_session_options_init(&o);
    if (given != NULL)
        o = *given;
    o.n_ctx = (uint32_t)(side->n_before + FIT_TOKENS);
    o.lookup = 0;
    return bezel_session_new(&side->session, fit->model, &o, err);
}

static bezel_status fit_open_with(fit_side *side, bezel_tool_fit *fit, const bezel_toolset *tools, size_t first, size_t end,
                                  const bezel_session_options *session, bezel_error *err)
{
    bz_strbuf b;
    bz_strbuf_init(&b, fit->world, 0);
    bz_strbuf_text(&b, "Available Functions:\n");
    for (size_t i = first; i < end; i++)
        bz_tool_declare(&b, &tools->tools[i]);
    while (b.status == BEZEL_OK && b.size > 0 && b.data[b.size - 1] == '\n')
        bz_strbuf_cut(&b, b.size - 1);
    bz_strbuf_text(&b, FIT_QUESTION);
    const bezel_status st = b.status == BEZEL_OK ? side_open(side, fit, bz_strbuf_cstr(&b), session, err)
                                                 : bz_fail(err, b.status, ORIGIN, "no room for the declarations");
    bz_strbuf_free(&b);
    return st;
}

static bezel_status fit_open(bezel_tool_fit *fit, const bezel_toolset *tools, const bezel_session_options *session,
                             bezel_error *err)
{
    const size_t n = tools->count >= 2 && tools->count <= FIT_APART ? tools->count : 0;
    fit->with = bz_zalloc_array(fit->world, n + 1, sizeof *fit->with);
    if (fit->with == NULL)
        return bz_fail_memory(err, ORIGIN, "the measure of a set", n * sizeof *fit->with);
    fit->n_with = n;
    bezel_status st = side_open(&fit->without, fit, &FIT_QUESTION[2], session, err);
    if (st == BEZEL_OK)
        st = fit_open_with(&fit->all, fit, tools, 0, tools->count, session, err);
    for (size_t i = 0; i < n && st == BEZEL_OK; i++)
        st = fit_open_with(&fit->with[i], fit, tools, i, i + 1, session, err);
    return st;
}

bezel_status bezel_tool_fit_new(bezel_tool_fit **out, const bezel_toolset *tools, bezel_model *model,
                                const bezel_session_options *session, bezel_error *err)
{
    if (out != NULL)
        *out = NULL;
    if (out == NULL || model == NULL || tools == NULL || tools->count == 0)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, ORIGIN, "bezel_tool_fit_new needs out, a model and a set with a tool");
    bezel_tool_fit *fit = bz_zalloc(tools->world, sizeof *fit);
    if (fit == NULL)
        return bz_fail_memory(err, ORIGIN, "the measure of a set", sizeof *fit);
    fit->world = tools->world;
    fit->model = model;
    const bezel_status st = fit_open(fit, tools, session, err);
    if (st == BEZEL_OK)
        *out = fit;
    else
        bezel_tool_fit_free(fit);
    return st;
}

static void side_close(fit_side *side, const bezel_world *w)
{
    bezel_session_free(side->session);
    bz_free(w, side->ids);
}

void bezel_tool_fit_free(bezel_tool_fit *fit)
{
    if (fit == NULL)
        return;
    for (size_t i = 0; i < fit->n_with; i++)
        side_close(&fit->with[i], fit->world);
    side_close(&fit->all, fit->world);
    side_close(&fit->without, fit->world);
    bz_free(fit->world, fit->with);
    bz_free(fit->world, fit);
}

size_t bezel_tool_fit_count(const bezel_tool_fit *fit)
{
    return fit != NULL ? fit->n_with : 0;
}

static bezel_status fit_side_of(fit_side **out, bezel_tool_fit *fit, size_t i, bezel_error *err)
{
    if (i != SIZE_MAX && i >= fit->n_with)
        return bz_fail(err, BEZEL_ERR_RANGE, ORIGIN, "tool is %zu, the measure has %zu", i, fit->n_with);
    *out = i == SIZE_MAX ? &fit->all : &fit->with[i];
    return BEZEL_OK;
}

bezel_status bezel_tool_fit_prepare(bezel_job **out, bezel_tool_fit *fit, size_t tool, bezel_error *err)
{
    bezel_generate_options o;
    fit_side *side = NULL;
    if (out != NULL)
        *out = NULL;
    if (out == NULL || fit == NULL)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, ORIGIN, "bezel_tool_fit_prepare needs out and a measure");
    bezel_status st = fit_side_of(&side, fit, tool, err);
    bezel_generate_options_init(&o);
    o.max_tokens = 0;
    if (st == BEZEL_OK)
        st = bezel_session_set(side->session, side->ids, side->n_before, err);
    return st == BEZEL_OK ? bezel_generate(out, side->session, &o, err) : st;
}

static bezel_status side_add(void *ud, size_t position, int32_t id, float logprob, const int32_t *top_ids,
                             const float *top_logprobs, uint32_t n_top)
{
    (void)position, (void)id, (void)top_ids, (void)top_logprobs, (void)n_top;
    *(double *)ud += (double)logprob;
    return BEZEL_OK;
}

static bezel_status side_score(double *out, fit_side *side, const int32_t *question, size_t n, bezel_error *err)
{
    *out = 0;
    memcpy(side->ids + side->n_before, question, n * sizeof *question);
    return bezel_score_from(side->session, side->ids, side->n_before + n, side->n_before, 0, side_add, out, err);
}

/* The first tokens of a question, without what it begins with. */
static bezel_status fit_tokenize(int32_t *out, size_t *out_n, bezel_tool_fit *fit, const char *question, size_t size,
                                 bezel_error *err)
{
    int32_t ids[16 * FIT_TOKENS + 2]; /* a token has a byte or more */
    size_t n = 0;
    bz_strbuf b;
    while (size > 0 && strchr(" \t\r\n", question[0]) != NULL) {
        question++;
        size--;
    }
    bz_strbuf_init(&b, fit->world, 0);
    bz_strbuf_char(&b, ' ');
    bz_strbuf_add(&b, question, size < 16 * FIT_TOKENS ? size : 16 * FIT_TOKENS);
    const bezel_status st =
        b.status == BEZEL_OK ? bezel_tokenize(ids, sizeof ids / sizeof *ids, &n, fit->model, bz_strbuf_cstr(&b), b.size, 0, err)
                             : bz_fail_memory(err, ORIGIN, "a question", size);
    bz_strbuf_free(&b);
    *out_n = st != BEZEL_OK || size == 0 ? 0 : n < FIT_TOKENS ? n : FIT_TOKENS;
    memcpy(out, ids, *out_n * sizeof *out);
    return st;
}

bezel_status bezel_tool_fit_score(double *out, bezel_tool_fit *fit, size_t tool, const char *question, size_t size,
                                  bezel_error *err)
{
    int32_t ids[FIT_TOKENS];
    size_t n = 0;
    double with = 0;
    fit_side *side = NULL;
    if (out == NULL || fit == NULL || (question == NULL && size > 0))
        return bz_fail(err, BEZEL_ERR_ARGUMENT, ORIGIN, "bezel_tool_fit_score needs out, a measure and a question");
    size = question == NULL ? 0 : size == SIZE_MAX ? strlen(question) : size;
    bezel_status st = fit_side_of(&side, fit, tool, err);
    if (st == BEZEL_OK)
        st = fit_tokenize(ids, &n, fit, question, size, err);
    if (st == BEZEL_OK && n > 0)
        st = side_score(&with, side, ids, n, err);
    if (st == BEZEL_OK && n > 0 && (n != fit->n_asked || memcmp(ids, fit->asked, n * sizeof *ids) != 0)) {
        st = side_score(&fit->nothing, &fit->without, ids, n, err);
        memcpy(fit->asked, ids, n * sizeof *ids);
        fit->n_asked = st == BEZEL_OK ? n : 0;
    }
    if (st == BEZEL_OK)
        *out = n > 0 ? with - fit->nothing : 0;
    return st;
}

int32_t bezel_tool_fit_counts(const bezel_toolset *tools, const bezel_tool_profile *profile)
{
    return tools != NULL && tools->count > 0 && profile != NULL && profile->size >= sizeof *profile &&
           profile->fit_weight > 0 && !bz_tools_have_examples(tools);
}

float bezel_tool_fit_bias(const bezel_tool_profile *profile, double fit)
{
    if (profile == NULL || profile->size < sizeof *profile || !(profile->fit_weight > 0))
        return 0;
    const float bias = profile->fit_weight * ((float)fit - profile->fit_neutral);
    return bias > FIT_MOST_BIAS ? FIT_MOST_BIAS : bias < -FIT_MOST_BIAS ? -FIT_MOST_BIAS : bias;
}

void bezel_tool_fit_name_bias(float *out, const bezel_tool_profile *profile, const double *nats, size_t n)
{
    const float weight = profile != NULL && profile->size >= sizeof *profile ? profile->name_weight : 0;
    double most = (double)-INFINITY;
    if (out == NULL || nats == NULL)
        return;
    for (size_t i = 0; i < n; i++)
        most = nats[i] > most ? nats[i] : most;
    for (size_t i = 0; i < n; i++) {
        const float bias = weight * (float)(nats[i] - most);
        out[i] = bias < -FIT_MOST_BIAS ? -FIT_MOST_BIAS : bias;
    }
}
