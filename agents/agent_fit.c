/* SPDX-License-Identifier: MIT */
/* Before the first model call of a turn that may call or answer: do the tools fit the question? Where the profile says that
 * it counts, the fit becomes a bias of the call's beginning. The measure is kept over turns and made anew after tools were
 * added. One that cannot be made or computed is a note, and the model decides alone. */
#include <math.h>

#include "agent_impl.h"

static int fit_is_wanted(const bezel_agent *a)
{
    return a->step == 0 && !a->fit_done && !a->form && a->options.constrain && a->constraint && !a->options.generate.constraint &&
           !a->answer_only && !bz_agent_must_call(a) && bezel_tool_fit_counts(bz_agent_tools(a), a->options.tool_profile) &&
           a->source.ud == &a->session_source; /* a script has no probabilities */
}

void bz_agent_fit_stop(bezel_agent *a)
{
    bezel_job_free(a->fit_job);
    a->fit_job = NULL;
}

void bz_agent_fit_free(bezel_agent *a)
{
    bz_agent_fit_stop(a);
    bezel_tool_fit_free(a->fit);
    a->fit = NULL;
    a->n_fitted = 0;
}

static bezel_status fit_make(bezel_agent *a, bezel_error *err)
{
    bz_agent_fit_free(a);
    bezel_status st = bezel_tool_fit_new(&a->fit, bz_agent_tools(a), a->model, &a->options.session, err);
    if (st == BEZEL_OK)
        st = bezel_tool_fit_prepare(&a->fit_job, a->fit, err);
    a->n_fitted = bezel_toolset_count(bz_agent_tools(a));
    return st;
}

static bezel_status fit_unit(bezel_agent *a, int64_t budget_us, bezel_error *err)
{
    const bz_memory_message *question = &a->history[a->turn_begin];
    double nats = 0;
    if (a->n_fitted != bezel_toolset_count(bz_agent_tools(a)))
        return fit_make(a, err);
    if (a->fit_job) {
        const bezel_status st = bezel_job_step(a->fit_job, budget_us, err);
        if (st == BEZEL_DONE || st < 0)
            bz_agent_fit_stop(a);
        return st < 0 ? st : BEZEL_OK;
    }
    a->fit_done = 1;
    if (!a->fit)
        return BEZEL_OK;
    const bezel_status st = bezel_tool_fit_score(&nats, a->fit, question->text, question->size, err);
    if (st == BEZEL_OK)
        a->fit_bias = bezel_tool_fit_bias(a->options.tool_profile, nats);
    return st;
}

bezel_status bz_agent_fit_step(bezel_agent *a, int64_t budget_us, bezel_error *err)
{
    bezel_error why = BEZEL_ERROR_INIT;
    if (!fit_is_wanted(a))
        return BEZEL_OK;
    const bezel_status st = fit_unit(a, budget_us, &why);
    if (st == BEZEL_OK)
        return BEZEL_MORE;
    bz_agent_fit_stop(a);
    bezel_tool_fit_free(a->fit);
    a->fit = NULL;
    a->fit_done = 1;
    if (st != BEZEL_ERR_MEMORY)
        return bz_agent_note(a, err, "the model decides alone between call and text: %s", why.text);
    bz_error_copy(err, &why);
    return st;
}

double bz_agent_fit_probability(const bezel_agent *a, double p)
{
    return a->fit_bias == 0 || isnan(p) ? p : p / (p + (1 - p) * exp(-(double)a->fit_bias));
}
