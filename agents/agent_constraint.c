/* SPDX-License-Identifier: MIT */
/* Which constraint a model call of an agent is under. The set's constraint is compiled once and again only after tools were
 * added; a choice of tool holds for the first model call of a turn, since a later one has results to answer with. Answers
 * that must be text and answers whose beginning is given (agent_branch.c) are not constrained. A call of an earlier model
 * call is not masked: a small model then writes it again with one more argument (measured with the 270M model), where
 * agent_branch.c leads it to another tool. */
#include <string.h>

#include "agent_impl.h"

static int constraint_choice_is(const bezel_agent *a, const char *name)
{
    return a->tool_choice && strcmp(a->tool_choice, name) == 0;
}

int bz_agent_must_call(const bezel_agent *a)
{
    return a->tool_choice && !constraint_choice_is(a, "auto") && !constraint_choice_is(a, "none");
}

void bz_agent_constraint_free(bezel_agent *a)
{
    bezel_constraint_free(a->constraint);
    bezel_constraint_free(a->first_constraint);
    a->constraint = a->first_constraint = NULL;
    a->n_constrained = 0;
    bz_agent_fit_free(a); /* measured of the same tools */
}

static bezel_status constraint_compile(bezel_agent *a, bezel_error *err)
{
    const bezel_toolset *tools = bz_agent_tools(a);
    const int must = a->step == 0 && bz_agent_must_call(a), any = must && constraint_choice_is(a, "required");
    bezel_constraint_options o;
    bezel_status st = BEZEL_OK;
    const char *dialect = a->options.tool_profile->dialect ? a->options.tool_profile->dialect : "function_call";
    const bezel_tool_profile *own = bezel_tool_profile_find_in("instruct", dialect);
    if (!own || strcmp(a->options.tool_profile->call_marker, own->call_marker) != 0)
        return bz_fail(err, BEZEL_ERR_UNSUPPORTED, "agent", "no dialect begins calls with \"%.40s\"",
                       a->options.tool_profile->call_marker);
    if (must && a->options.generate.constraint)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "agent", "tool_choice %.64s and another constraint exclude each other",
                       a->tool_choice);
    bezel_constraint_options_init(&o);
    o.dialect = dialect;
    o.any_order = a->options.any_order != 0 || a->options.tool_profile->native;
    o.max_calls = a->options.max_calls < 16 ? a->options.max_calls : 16;
    if (a->options.constrain || any)
        st = bezel_toolset_constraint(&a->constraint, tools, a->model, NULL, &o, err);
    if (st == BEZEL_OK && must && !any)
        st = bezel_toolset_constraint(&a->first_constraint, tools, a->model, a->tool_choice, &o, err);
    return st;
}

/* What the set did not say at registration: which keywords are checked only afterwards, which tool is left out. */
static bezel_status constraint_notes(bezel_agent *a, bezel_error *err)
{
    const bezel_constraint *c = a->constraint ? a->constraint : a->first_constraint;
    const bezel_toolset *tools = bz_agent_tools(a);
    bezel_status st = BEZEL_OK;
    for (size_t i = 0; i < bezel_constraint_warning_count(c) && st == BEZEL_OK; i++) {
        const char *text = bezel_constraint_warning(c, i);
        size_t k = 0, n = bezel_toolset_warning_count(tools);
        while (k < n && strcmp(bezel_toolset_warning(tools, k), text) != 0)
            k++;
        if (k == n)
            st = bz_agent_note(a, err, "calls of %s", text);
    }
    return st;
}

bezel_status bz_agent_constraint_make(bezel_agent *a, bezel_error *err)
{
    const int must = a->step == 0 && bz_agent_must_call(a); /* of a turn that goes on, the first model call is over */
    const int is_there = !must || (constraint_choice_is(a, "required") ? a->constraint : a->first_constraint) != NULL;
    bezel_error why = BEZEL_ERROR_INIT;
    if (a->form)
        return BEZEL_OK;
    if (must && !bz_agent_has_tools(a))
        return bz_fail(err, BEZEL_ERR_MISSING, "agent", "tool_choice is %.64s and there is no tool", a->tool_choice);
    if (!bz_agent_has_tools(a) || (!must && (!a->options.constrain || a->options.generate.constraint || a->answer_only)) ||
        (is_there && a->n_constrained == bezel_toolset_count(bz_agent_tools(a))))
        return BEZEL_OK;
    bz_agent_constraint_free(a);
    bezel_status st = constraint_compile(a, &why);
    if (st == BEZEL_OK || (!must && st != BEZEL_ERR_MEMORY))
        a->n_constrained = bezel_toolset_count(bz_agent_tools(a));
    if (st == BEZEL_OK)
        return constraint_notes(a, err);
    if (!must && st != BEZEL_ERR_MEMORY)
        return bz_agent_note(a, err, "calls are written without a constraint: %s", why.text);
    bz_agent_constraint_free(a);
    bz_error_copy(err, &why);
    return st;
}

void bz_agent_constraint_set(const bezel_agent *a, bezel_generate_options *o)
{
    const int must = a->step == 1 && bz_agent_must_call(a);
    if (a->form) {
        o->constraint = a->form;
        return;
    }
    if (o->constraint || a->answer_only || a->n_forced)
        return;
    if (must)
        o->constraint = a->first_constraint ? a->first_constraint : a->constraint;
    else if (a->options.constrain)
        o->constraint = a->constraint;
    if (o->constraint)
        o->calls = must ? BEZEL_CALLS_REQUIRED : BEZEL_CALLS_AUTO;
    if (o->constraint && a->options.evidence && a->step == 1) {
        o->evidence = a->history[a->turn_begin].text;
        o->evidence_weight = a->options.tool_profile->evidence_weight;
    }
    if (o->constraint && !must && a->step == 1)
        o->call_bias += a->fit_bias;
    if (o->constraint && o->constraint == a->constraint && a->step == 1 && a->fit_done && a->name_bias) {
        o->function_bias = a->name_bias;
        o->n_function_bias = (uint32_t)bezel_tool_fit_count(a->fit);
    }
}

bezel_status bezel_agent_set_form(bezel_agent *agent, const bezel_constraint *form, bezel_error *err)
{
    if (!agent)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "agent", "agent is NULL");
    if (agent->inside || (agent->state != BZ_AGENT_IDLE && agent->state != BZ_AGENT_FINISHED))
        return bz_fail(err, BEZEL_ERR_BUSY, "agent", "a turn runs already");
    agent->form = form;
    return BEZEL_OK;
}
