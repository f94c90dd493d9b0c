/* SPDX-License-Identifier: MIT */
/* A small model that has called a function and has its result likes to write the same call again, and each repetition in
 * the prompt makes the next more probable. So a model call that only repeats is taken back, and the answer begins anew
 * from another place: the token where the name of a not yet called tool would part from the repeated one, when that is
 * the model's next choice there, else the more probable of such a token and another first token (text instead of a
 * call). Copying makes the repeated name all but certain, so probabilities of the two places alone would always favour
 * text. Only tools that compute or read are led to: what changes something must be the model's own first choice. */
#include <string.h>

#include "agent_impl.h"

#include "base/alloc.h"

#define MARKER_AT_MOST 128 /* tokens before the opening bracket that are looked at */

typedef struct branch_choice {
    size_t position; /* ids[0, position) stay, `id` follows */
    int32_t id;
    float logprob;
} branch_choice;

static int branch_was_called(const bezel_agent *a, const char *name)
{
    for (size_t i = 0; i < a->n_calls; i++) {
        if (a->calls[i].arguments && strcmp(a->calls[i].name, name) == 0)
            return 1;
    }
    return 0;
}

/* Whether `text` from where a tool name begins is a beginning of, or begins with, a tool's name that was not called. */
static int branch_leads_to_tool(const bezel_agent *a, const char *text)
{
    size_t n = strlen(text);
    for (size_t i = 0; i < a->n_calls; i++) { /* what is still the beginning of a called name parts from nothing */
        if (a->calls[i].arguments && strncmp(text, a->calls[i].name, n) == 0)
            return 0;
    }
    for (size_t i = 0; i < bezel_toolset_count(bz_agent_tools(a)); i++) {
        const char *name = bezel_toolset_name(bz_agent_tools(a), i);
        size_t m = strlen(name), least = n < m ? n : m;
        uint32_t permission = bezel_toolset_permission(bz_agent_tools(a), i);
        if (permission != BEZEL_TOOL_PURE && permission != BEZEL_TOOL_READ)
            continue;
        if (!branch_was_called(a, name) && strncmp(text, name, least) == 0 && (n <= m || text[m] == '('))
            return 1;
    }
    return 0;
}

/* Text of ids[0, n) followed by id. */
static bezel_status branch_text(char **out, const bezel_agent *a, const int32_t *ids, size_t n, int32_t id,
                                bezel_error *err)
{
    int32_t list[MARKER_AT_MOST + 1];
    size_t size;
    memcpy(list, ids, n * sizeof *ids);
    list[n] = id;
    return bezel_detokenize(out, &size, a->model, list, n + 1, 0, err);
}

static int branch_is_blank(const char *text)
{
    return text[strspn(text, " \t\r\n")] == 0;
}

/* Where the name begins in a text that spells the marker, else NULL. */
static const char *branch_name_in(const bezel_agent *a, const char *text)
{
    const char *marker = a->options.tool_profile->call_marker, *at = strstr(text, marker);
    return at ? at + strlen(marker) : NULL;
}

static bezel_status branch_look(branch_choice *best, const bezel_agent *a, size_t position, bezel_error *err)
{
    const bezel_generation *g = &a->turn.generation;
    uint32_t n_better = 0; /* alternatives before this one */
    for (uint32_t k = 0; k < g->n_top; k++) {
        int32_t id = g->top_ids[position * g->n_top + k];
        float logprob = g->top_logprobs[position * g->n_top + k];
        if (id < 0 || id == g->ids[position])
            continue;
        if (position > 0 && n_better == 0)
            logprob = 0; /* certain: counts more than any first token */
        n_better++;
        if (bezel_token_is_end(a->model, id) || !(logprob > best->logprob))
            continue;
        char *text = NULL;
        bezel_status st = branch_text(&text, a, g->ids, position, id, err);
        if (st != BEZEL_OK)
            return st;
        const char *name = branch_name_in(a, text);
        int fits = position == 0 ? !branch_is_blank(text) : name && *name && branch_leads_to_tool(a, name);
        bezel_text_free(a->engine, text);
        if (fits) {
            *best = (branch_choice){position, id, logprob};
            return BEZEL_OK;
        }
    }
    return BEZEL_OK;
}

bezel_status bz_agent_branch(bezel_agent *a, int *out_found, bezel_error *err)
{
    const bezel_generation *g = &a->turn.generation;
    branch_choice best = {0, -1, -1e30f};
    bezel_status st = BEZEL_OK;
    *out_found = 0;
    if (!g->n_top || !g->top_ids || !g->top_logprobs || !g->n_ids || a->n_forced)
        return BEZEL_OK;
    for (size_t p = 0; st == BEZEL_OK && p < g->n_ids && p < MARKER_AT_MOST; p++)
        st = branch_look(&best, a, p, err);
    if (st != BEZEL_OK || best.id < 0)
        return st;
    a->forced = bz_alloc(a->world, (best.position + 1) * sizeof *a->forced);
    if (!a->forced)
        return bz_fail_memory(err, "agent", "another answer", (best.position + 1) * sizeof *a->forced);
    memcpy(a->forced, g->ids, best.position * sizeof *a->forced);
    a->forced[best.position] = best.id;
    a->n_forced = best.position + 1;
    *out_found = 1;
    return BEZEL_OK;
}
