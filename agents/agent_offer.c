/* SPDX-License-Identifier: MIT */
/* Which tools a turn offers, and as which role the model speaks. A role's tools are joined with one tool for each way to another
 * role; of many, those that fit the question are selected, in the order of the set so that the prompt's beginning changes as
 * little as it can. Sets made here borrow their tools from the host's. */
#include <stdio.h>
#include <string.h>

#include "agent_impl.h"

#include "base/alloc.h"

#define ROLES_AT_MOST 8u
#define ROLE_NAME_BYTES 50u
#define SELECT_AT_MOST 1024u

/* --- Roles -------------------------------------------------------------------------------- */

const char *bezel_agent_role(const bezel_agent *agent)
{
    return agent && agent->roles ? agent->roles[agent->role].name : "";
}

/* Body of transfer_to_NAME: the role changes when the calls of this model call are answered. */
static bezel_status offer_hand_over(void *ud, bezel_call *call, bezel_error *err)
{
    const bz_agent_role *role = ud;
    char text[128];
    (void)err;
    role->agent->next_role = (uint32_t)(role - role->agent->roles);
    snprintf(text, sizeof text, "%s goes on with the request", role->name);
    bezel_call_finish(call, bezel_tree_text(bezel_call_tree(call), text, SIZE_MAX));
    return BEZEL_OK;
}

static bezel_status offer_way(bezel_toolset *joined, bz_agent_role *to, bezel_error *err)
{
    char name[80], description[512];
    bezel_tool tool = BEZEL_TOOL_INIT;
    snprintf(name, sizeof name, "transfer_to_%s", to->name);
    snprintf(description, sizeof description, "Hands the conversation over to %s%s%s", to->name, to->description ? ": " : "",
             to->description ? to->description : "");
    tool.name = name;
    tool.description = description;
    tool.permission = BEZEL_TOOL_PURE;
    tool.fn = offer_hand_over;
    tool.ud = to;
    tool.always = 1;
    return bezel_toolset_add(joined, &tool, err);
}

static void offer_forget_selection(bezel_agent *a)
{
    if (a->selected)
        bz_agent_constraint_free(a);
    bezel_toolset_free(a->selected);
    a->selected = NULL;
    a->n_selection = 0;
}

/* Tools of the role with the ways to others, made anew when the role or its set has changed. */
static bezel_status offer_join(bezel_agent *a, int changed, bezel_error *err)
{
    const bezel_toolset *own = a->roles[a->role].tools;
    if (a->n_roles == 1 || (a->joined && !changed && a->n_joined_from == bezel_toolset_count(own)))
        return BEZEL_OK;
    offer_forget_selection(a);
    bz_agent_constraint_free(a);
    bezel_toolset_free(a->joined);
    a->joined = NULL;
    bezel_toolset *joined = NULL;
    bezel_status st = bezel_toolset_new(&joined, a->engine, err);
    for (size_t i = 0; st == BEZEL_OK && i < bezel_toolset_count(own); i++)
        st = bezel_toolset_borrow(joined, own, i, err);
    for (uint32_t i = 0; st == BEZEL_OK && i < a->n_roles; i++)
        st = i == a->role ? BEZEL_OK : offer_way(joined, &a->roles[i], err);
    if (st != BEZEL_OK) {
        bezel_toolset_free(joined);
        return st;
    }
    a->joined = joined;
    a->n_joined_from = bezel_toolset_count(own);
    return BEZEL_OK;
}

static bezel_status offer_copy(char **out, const bezel_agent *a, const char *text, bezel_error *err)
{
    *out = text ? bz_text_dup(a->world, text, SIZE_MAX) : NULL;
    return *out || !text ? BEZEL_OK : bz_fail_memory(err, "agent", "a role", strlen(text));
}

static bezel_status offer_role(bz_agent_role *to, bezel_agent *a, const bezel_handoff *from, bezel_error *err)
{
    to->agent = a;
    to->tools = from->tools;
    bezel_status st = offer_copy(&to->name, a, from->name, err);
    if (st == BEZEL_OK)
        st = offer_copy(&to->description, a, from->description, err);
    return st == BEZEL_OK ? offer_copy(&to->system, a, from->system, err) : st;
}

bezel_status bz_agent_roles_make(bezel_agent *a, const bezel_agent_options *o, bezel_error *err)
{
    const bezel_handoff first = {"main", NULL, o->system, o->tools};
    if (o->n_handoffs > ROLES_AT_MOST || (o->n_handoffs && !o->handoffs))
        return bz_fail(err, BEZEL_ERR_RANGE, "agent", "%u roles in handoffs (at most %u), or no list", (unsigned)o->n_handoffs,
                       ROLES_AT_MOST);
    a->roles = bz_zalloc_array(a->world, (size_t)o->n_handoffs + 1, sizeof *a->roles);
    if (!a->roles)
        return bz_fail_memory(err, "agent", "the roles", 0);
    a->n_roles = o->n_handoffs + 1;
    bezel_status st = offer_role(&a->roles[0], a, &first, err);
    for (uint32_t i = 0; st == BEZEL_OK && i < o->n_handoffs; i++) {
        const char *name = o->handoffs[i].name;
        if (!name || !*name || strlen(name) > ROLE_NAME_BYTES || strcmp(name, "main") == 0)
            st = bz_fail(err, BEZEL_ERR_RANGE, "agent", "role %u needs a name of 1 to %u bytes that is not \"main\"", (unsigned)i + 1,
                         ROLE_NAME_BYTES);
        else
            st = offer_role(&a->roles[i + 1], a, &o->handoffs[i], err);
    }
    return st == BEZEL_OK ? offer_join(a, 1, err) : st; /* which checks the names */
}

void bz_agent_roles_free(bezel_agent *a)
{
    bezel_toolset_free(a->selected);
    bezel_toolset_free(a->joined);
    bz_free(a->world, a->selection);
    for (uint32_t i = 0; a->roles && i < a->n_roles; i++) {
        bz_free(a->world, a->roles[i].name);
        bz_free(a->world, a->roles[i].description);
        bz_free(a->world, a->roles[i].system);
    }
    bz_free(a->world, a->roles);
}

/* --- Selection ---------------------------------------------------------------------------- */

static const bezel_toolset *offer_whole(const bezel_agent *a)
{
    return a->joined ? a->joined : a->roles[a->role].tools;
}

const bezel_toolset *bz_agent_tools(const bezel_agent *a)
{
    return a->selected ? a->selected : offer_whole(a);
}

size_t bz_agent_tool_place(const bezel_agent *a, const char *name)
{
    const bezel_toolset *tools = bz_agent_tools(a);
    size_t i = 0;
    while (i < bezel_toolset_count(tools) && strcmp(bezel_toolset_name(tools, i), name) != 0)
        i++;
    return i;
}

/* Offered whatever the question: by its own wish, by tool_choice, or because the turn before called it. */
static int offer_is_fixed(const bezel_agent *a, size_t i)
{
    const char *name = bezel_toolset_name(offer_whole(a), i);
    if (bezel_toolset_always(offer_whole(a), i) || (a->tool_choice && strcmp(a->tool_choice, name) == 0))
        return 1;
    for (size_t k = 0; k < a->n_calls; k++) {
        if (a->calls[k].arguments && strcmp(a->calls[k].name, name) == 0)
            return 1;
    }
    return 0;
}

/* The places to offer into list, in the order of the set; what was ranked into the detail of the decision. */
static bezel_status offer_choose(uint32_t *list, size_t *out_n, bezel_agent *a, const char *text, bezel_error *err)
{
    const bezel_toolset *whole = offer_whole(a);
    size_t total = bezel_toolset_count(whole), k = a->options.select_tools, n_ranked = 0, n = 0;
    double *scores = bz_zalloc_array(a->world, k + total, sizeof *scores); /* of the ranks, then of the tools; 0 = left out */
    uint32_t *ranks = bz_zalloc_array(a->world, k, sizeof *ranks);
    bezel_status st = BEZEL_OK;
    if (!scores || !ranks)
        st = bz_fail_memory(err, "agent", "the selection of tools", total * sizeof *scores);
    if (st == BEZEL_OK)
        st = bezel_toolset_rank(ranks, scores, &n_ranked, whole, text, k, err);
    for (size_t i = 0; st == BEZEL_OK && i < n_ranked; i++)
        scores[k + ranks[i]] = scores[i];
    bz_strbuf_reset(&a->offer_detail);
    for (size_t i = 0; st == BEZEL_OK && i < total; i++) {
        const double score = scores[k + i];
        if (score <= 0 && !offer_is_fixed(a, i))
            continue;
        list[n++] = (uint32_t)i;
        bz_strbuf_format(&a->offer_detail, "%s%s", n > 1 ? ", " : "", bezel_toolset_name(whole, i));
        if (score > 0)
            bz_strbuf_format(&a->offer_detail, " %.2f", score);
    }
    const size_t n_fixed = n;
    for (size_t i = 0; st == BEZEL_OK && n_ranked == 0 && n - n_fixed < k && i < total; i++) { /* no word fits: the first ones */
        size_t at = 0;
        while (at < n && list[at] < i)
            at++;
        if (at < n && list[at] == i)
            continue;
        memmove(list + at + 1, list + at, (n++ - at) * sizeof *list);
        list[at] = (uint32_t)i;
        bz_strbuf_format(&a->offer_detail, "%s%s", n > 1 ? ", " : "", bezel_toolset_name(whole, i));
    }
    if (st == BEZEL_OK && a->offer_detail.status != BEZEL_OK)
        st = bz_fail_memory(err, "agent", "the selection of tools", a->offer_detail.size);
    bz_free(a->world, ranks);
    bz_free(a->world, scores);
    *out_n = n;
    return st;
}

/* Makes the set of the chosen places, unless it is the one that is there. Takes list. */
static bezel_status offer_select(bezel_agent *a, uint32_t *list, size_t n, bezel_error *err)
{
    bezel_toolset *selected = NULL;
    if (a->selected && n == a->n_selection && memcmp(list, a->selection, n * sizeof *list) == 0) {
        bz_free(a->world, list);
        return BEZEL_OK;
    }
    bezel_status st = bezel_toolset_new(&selected, a->engine, err);
    for (size_t i = 0; st == BEZEL_OK && i < n; i++)
        st = bezel_toolset_borrow(selected, offer_whole(a), list[i], err);
    if (st != BEZEL_OK) {
        bezel_toolset_free(selected);
        bz_free(a->world, list);
        return st;
    }
    bz_agent_constraint_free(a);
    bezel_toolset_free(a->selected);
    bz_free(a->world, a->selection);
    a->selected = selected;
    a->selection = list;
    a->n_selection = n;
    return BEZEL_OK;
}

bezel_status bz_agent_offer(bezel_agent *a, const char *text, bezel_error *err)
{
    bezel_status st = offer_join(a, 0, err);
    if (st != BEZEL_OK)
        return st;
    size_t total = bezel_toolset_count(offer_whole(a)), n = 0;
    if (!a->options.select_tools || total <= a->options.select_tools) {
        offer_forget_selection(a);
        return BEZEL_OK;
    }
    if (!text)
        return BEZEL_OK;
    uint32_t *list = bz_zalloc_array(a->world, total, sizeof *list);
    if (!list)
        return bz_fail_memory(err, "agent", "the selection of tools", total * sizeof *list);
    st = offer_choose(list, &n, a, text, err);
    if (st == BEZEL_OK)
        return offer_select(a, list, n, err);
    bz_free(a->world, list);
    return st;
}

bezel_status bz_agent_offer_decide(bezel_agent *a, bezel_error *err)
{
    if (!a->selected)
        return BEZEL_OK;
    return bz_agent_decide(a, "tools", "offered", NULL, NULL, bz_strbuf_cstr(&a->offer_detail), err);
}

bezel_status bz_agent_role_set(bezel_agent *a, uint32_t role, bezel_error *err)
{
    const int changed = a->role != role;
    a->role = a->next_role = role;
    return changed ? offer_join(a, 1, err) : BEZEL_OK;
}

bezel_status bz_agent_role_change(bezel_agent *a, bezel_error *err)
{
    if (a->next_role == a->role)
        return BEZEL_OK;
    bezel_status st = bz_agent_role_set(a, a->next_role, err);
    if (st == BEZEL_OK)
        st = bz_agent_decide(a, "hand_off", "done", NULL, bezel_agent_role(a), NULL, err);
    if (st == BEZEL_OK)
        st = bz_agent_note(a, err, "%s goes on", bezel_agent_role(a));
    if (st == BEZEL_OK)
        st = bz_agent_offer(a, a->history[a->turn_begin].text, err);
    if (st == BEZEL_OK)
        st = bz_agent_offer_decide(a, err);
    if (st == BEZEL_OK)
        st = bz_agent_system_render(a, err);
    return st == BEZEL_OK ? bz_agent_constraint_make(a, err) : st;
}
