/* SPDX-License-Identifier: MIT */
/* Before the first model call of a turn that may call or answer: do the tools fit the question? Where the profile says that
 * it counts, the fit becomes a bias of the call's beginning. The measure is kept over turns and made anew after tools were
 * added. One that cannot be made or computed is a note, and the model decides alone. */
#include <math.h>

#include "agent_impl.h"

#include "base/alloc.h"

/* Of a choice that leaves no text only the names are to be weighed. */
static int fit_is_wanted(const bezel_agent *a)
{
    const bezel_toolset *tools = bz_agent_tools(a);
    const bezel_tool_profile *profile = a->options.tool_profile;
    const int must = bz_agent_must_call(a);
    if (!a->options.fit || a->step > 0 || a->fit_done || a->form || !a->constraint || a->options.generate.constraint || a->answer_only ||
        !a->is_computed || !bezel_tool_fit_counts(tools, profile)) /* a script has no probabilities */
        return 0;
    return must ? !a->first_constraint && profile->name_weight > 0 && bezel_toolset_count(tools) > 1 : a->options.constrain != 0;
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
    bz_free(a->world, a->fits);
    bz_free(a->world, a->name_bias);
    a->fit = NULL;
    a->fits = NULL;
    a->name_bias = NULL;
    a->n_fitted = a->n_fit_ready = a->n_fits = 0;
}

static bezel_status fit_make(bezel_agent *a, bezel_error *err)
{
    bz_agent_fit_free(a);
    const bezel_status st = bezel_tool_fit_new(&a->fit, bz_agent_tools(a), a->model, &a->options.session, err);
    if (st != BEZEL_OK)
        return st;
    const size_t n = bezel_tool_fit_count(a->fit);
    a->fits = bz_zalloc_array(a->world, n + 1, sizeof *a->fits);
    a->name_bias = bz_zalloc_array(a->world, n + 1, sizeof *a->name_bias);
    if (!a->fits || !a->name_bias)
        return bz_fail_memory(err, "agent", "fits of tools", n * sizeof *a->fits);
    a->n_fitted = bezel_toolset_count(bz_agent_tools(a));
    return BEZEL_OK;
}

/* Place n is the whole set. */
static bezel_status fit_unit(bezel_agent *a, int64_t budget_us, bezel_error *err)
{
    const bz_memory_message *question = &a->history[a->turn_begin];
    if (!a->fit || a->n_fitted != bezel_toolset_count(bz_agent_tools(a)))
        return fit_make(a, err);
    const size_t n = bezel_tool_fit_count(a->fit), end = bz_agent_must_call(a) ? n : n + 1;
    if (a->fit_job) {
        const bezel_status st = bezel_job_step(a->fit_job, budget_us, err);
        if (st == BEZEL_DONE || st < 0)
            bz_agent_fit_stop(a);
        return st < 0 ? st : BEZEL_OK;
    }
    if (a->n_fit_ready < end) {
        const size_t i = a->n_fit_ready++;
        return bezel_tool_fit_prepare(&a->fit_job, a->fit, i < n ? i : SIZE_MAX, err);
    }
    if (a->n_fits < end) {
        const size_t i = a->n_fits++;
        return bezel_tool_fit_score(&a->fits[i], a->fit, i < n ? i : SIZE_MAX, question->text, question->size, err);
    }
    a->fit_done = 1;
    if (end > n)
        a->fit_bias = bezel_tool_fit_bias(a->options.tool_profile, a->fits[n]);
    bezel_tool_fit_name_bias(a->name_bias, a->options.tool_profile, a->fits, n);
    return BEZEL_OK;
}

bezel_status bz_agent_fit_step(bezel_agent *a, int64_t budget_us, bezel_error *err)
{
    bezel_error why = BEZEL_ERROR_INIT;
    if (!fit_is_wanted(a))
        return BEZEL_OK;
    const bezel_status st = fit_unit(a, budget_us, &why);
    if (st == BEZEL_OK)
        return BEZEL_MORE;
    bz_agent_fit_free(a);
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
