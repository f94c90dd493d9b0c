/* SPDX-License-Identifier: MIT */
/* The messages of a conversation and the prompt made from them. What the model wrote is kept verbatim, so that the next
 * prompt begins with the same tokens and the session's cache holds. */
#include <string.h>

#include "agent_impl.h"

#include "base/alloc.h"

/* --- Messages ----------------------------------------------------------------------------- */

bezel_status bz_agent_history_add(bezel_agent *a, uint32_t role, uint32_t step, const char *text, size_t size,
                                  bezel_error *err)
{
    if (!bz_agent_grow(a->world, &a->history, &a->history_capacity, a->n_history, sizeof *a->history))
        return bz_fail_memory(err, "agent", "the history", (a->n_history + 1) * sizeof *a->history);
    char *copy = bz_text_dup(a->world, text ? text : "", text ? size : 0);
    if (!copy)
        return bz_fail_memory(err, "agent", "a message", size);
    const int is_tainted = role == BEZEL_ROLE_TOOL || (role == BEZEL_ROLE_ASSISTANT && bezel_agent_is_tainted(a));
    a->history[a->n_history++] =
        (bz_memory_message){.role = role, .step = step, .text = copy, .size = size, .is_tainted = is_tainted};
    return BEZEL_OK;
}

int32_t bezel_agent_is_tainted(const bezel_agent *agent)
{
    if (!agent)
        return 0;
    for (size_t i = agent->plan.first; i < agent->n_history; i++) {
        if (agent->history[i].is_tainted)
            return 1;
    }
    return 0;
}

void bezel_agent_taint(bezel_agent *agent)
{
    if (agent)
        agent->taint_next = 1;
}

void bz_agent_history_cut(bezel_agent *a, size_t count)
{
    while (a->n_history > count)
        bz_free(a->world, a->history[--a->n_history].text);
    if (a->plan.first > count || a->plan.skip_end > count)
        a->plan = (bz_memory_plan){0};
}

void bezel_agent_clear(bezel_agent *agent)
{
    if (!agent || (agent->state != BZ_AGENT_IDLE && agent->state != BZ_AGENT_FINISHED))
        return;
    bz_agent_history_cut(agent, 0);
    agent->role = agent->next_role = 0;
    agent->n_joined_from = SIZE_MAX; /* joined anew by the next turn */
}

bezel_status bezel_agent_append(bezel_agent *agent, const bezel_message *messages, size_t count, bezel_error *err)
{
    if (!agent || (count && !messages))
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "agent", "bezel_agent_append needs an agent and messages");
    if (agent->state != BZ_AGENT_IDLE && agent->state != BZ_AGENT_FINISHED)
        return bz_fail(err, BEZEL_ERR_BUSY, "agent", "a turn runs; append before or after it");
    size_t before = agent->n_history;
    bezel_status st = BEZEL_OK;
    for (size_t i = 0; st == BEZEL_OK && i < count; i++) {
        const bezel_message *m = &messages[i];
        if (m->size != sizeof *m || (!m->text && m->text_size))
            st = bz_fail(err, BEZEL_ERR_ARGUMENT, "agent", "message %zu has a wrong size or no text", i);
        else if (m->role != BEZEL_ROLE_USER && m->role != BEZEL_ROLE_ASSISTANT && m->role != BEZEL_ROLE_TOOL)
            st = bz_fail(err, BEZEL_ERR_FORMAT, "agent",
                         "message %zu has role %u; a history has user, assistant and tool messages, the system text is an "
                         "option of the agent",
                         i, (unsigned)m->role);
        else
            st = bz_agent_history_add(agent, m->role, 0, m->text, m->text_size, err);
    }
    if (st != BEZEL_OK)
        bz_agent_history_cut(agent, before);
    return st;
}

bezel_status bezel_agent_history(bezel_value **out, bezel_tree *tree, const bezel_agent *agent, bezel_error *err)
{
    if (out)
        *out = NULL;
    if (!out || !tree || !agent)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "agent", "bezel_agent_history needs out, a tree and an agent");
    bezel_value *list = bezel_tree_list(tree);
    for (size_t i = 0; i < agent->n_history; i++) {
        const bz_memory_message *m = &agent->history[i];
        bezel_value *map = bezel_tree_map(tree);
        bezel_value_set(tree, map, "role", bezel_tree_text(tree, bezel_role_name(m->role), SIZE_MAX));
        bezel_value_set(tree, map, "text", bezel_tree_text(tree, m->text, m->size));
        bezel_value_append(tree, list, map);
    }
    if (bezel_tree_status(tree) != BEZEL_OK)
        return bz_fail(err, bezel_tree_status(tree), "agent", "no room for the history");
    *out = list;
    return BEZEL_OK;
}

/* --- Prompt ------------------------------------------------------------------------------- */

/* What every conversation begins with: the prompt of an empty question, up to where another one differs (agent_loop.c). */
static bezel_status history_prefix(bezel_agent *a, bezel_error *err)
{
    bezel_prompt *prompt = NULL;
    const bezel_message list[] = {{sizeof *list, BEZEL_ROLE_SYSTEM, a->system_text, a->system_size},
                                  {sizeof *list, BEZEL_ROLE_USER, "", 0}};
    bz_free(a->world, a->prefix);
    a->prefix = NULL;
    a->n_prefix = 0;
    if (!a->system_text)
        return BEZEL_OK;
    bezel_status st = bezel_prompt_render(&prompt, a->model, a->options.profile, list, 2, 1, err);
    if (st != BEZEL_OK)
        return st;
    size_t n = 0;
    const int32_t *ids = bezel_prompt_ids(prompt, &n);
    a->prefix = bz_zalloc_array(a->world, n, sizeof *ids);
    if (a->prefix) {
        memcpy(a->prefix, ids, n * sizeof *ids);
        a->n_prefix = n;
    } else if (n) {
        st = bz_fail_memory(err, "agent", "the tokens of the system text", n * sizeof *ids);
    }
    bezel_prompt_free(prompt);
    return st;
}

bezel_status bz_agent_system_text(bz_strbuf *out, bezel_engine *engine, const char *system, const bezel_toolset *tools,
                                  const bezel_tool_profile *profile, const char *context, bezel_error *err)
{
    char *text = NULL;
    size_t size = 0;
    if (system)
        bz_strbuf_text(out, system);
    if (tools) {
        const bezel_status st = bezel_toolset_render(&text, &size, tools, profile, context, err);
        if (st != BEZEL_OK)
            return st;
        if (out->size && size && text[0] != '<') /* native declarations follow at once */
            bz_strbuf_text(out, "\n\n");
        bz_strbuf_add(out, text, size);
        bezel_text_free(engine, text);
    } else if (context) {
        bz_strbuf_text(out, out->size ? "\n\nContext: " : "Context: ");
        bz_strbuf_text(out, context);
    }
    return out->status == BEZEL_OK ? BEZEL_OK : bz_fail(err, out->status, "agent", "no room for the system text");
}

bezel_status bz_agent_system_render(bezel_agent *a, bezel_error *err)
{
    bz_strbuf b;
    bz_strbuf_init(&b, a->world, 0);
    bezel_status st = bz_agent_system_text(&b, a->engine, a->roles[a->role].system,
                                           bz_agent_has_tools(a) ? bz_agent_tools(a) : NULL, a->options.tool_profile,
                                           a->context, err);
    const int is_new = b.size != a->system_size || (b.size && memcmp(bz_strbuf_cstr(&b), a->system_text, b.size) != 0);
    if (st == BEZEL_OK && is_new) {
        bz_free(a->world, a->system_text);
        a->system_size = b.size;
        a->system_text = b.size ? bz_strbuf_take(&b, &a->system_size) : NULL;
        if (a->system_size && !a->system_text)
            st = bz_fail_memory(err, "agent", "the system text", a->system_size);
    }
    bz_strbuf_free(&b);
    if (st == BEZEL_OK && is_new)
        st = history_prefix(a, err);
    return st;
}

static bezel_status history_render(bezel_prompt **out, bezel_agent *a, const bz_memory_plan *plan, bezel_error *err)
{
    size_t n = 0;
    bezel_message *list = bz_zalloc_array(a->world, a->n_history + 1, sizeof *list);
    if (!list)
        return bz_fail_memory(err, "agent", "the messages", (a->n_history + 1) * sizeof *list);
    if (a->system_text)
        list[n++] = (bezel_message){sizeof *list, BEZEL_ROLE_SYSTEM, a->system_text, a->system_size};
    for (size_t i = plan->first; i < a->n_history; i++) {
        const bz_memory_message *m = &a->history[i];
        if (i >= plan->skip_begin && i < plan->skip_end)
            continue;
        list[n++] = (bezel_message){sizeof *list, m->role, m->text, m->size};
    }
    bezel_status st = bezel_prompt_render(out, a->model, a->options.profile, list, n, 1, err);
    bz_free(a->world, list);
    return st;
}

static bezel_status history_measure(void *ud, const bz_memory_plan *plan, size_t *out_tokens, bezel_error *err)
{
    bezel_prompt *prompt = NULL;
    bezel_status st = history_render(&prompt, ud, plan, err);
    if (st == BEZEL_OK)
        bezel_prompt_ids(prompt, out_tokens);
    bezel_prompt_free(prompt);
    return st;
}

bezel_status bz_agent_prompt_render(bezel_prompt **out, bezel_agent *a, bz_memory_plan *plan, bezel_error *err)
{
    size_t n_ctx = a->n_ctx, room = n_ctx / 4;
    if (a->options.generate.max_tokens < room)
        room = a->options.generate.max_tokens;
    int drop = a->options.overflow == BEZEL_OVERFLOW_DROP_OLDEST;
    bz_memory_fit fit = {.messages = a->history,
                         .count = a->n_history,
                         .limit = drop ? n_ctx - room : n_ctx - 1,
                         .target = n_ctx / 2,
                         .drop = drop,
                         .ud = a,
                         .measure = history_measure};
    bezel_status st = bz_memory_choose(plan, &fit, err);
    return st == BEZEL_OK ? history_render(out, a, plan, err) : st;
}

bezel_status bezel_agent_prompt(bezel_prompt **out, bezel_agent *agent, const char *text, size_t size, bezel_error *err)
{
    if (out)
        *out = NULL;
    if (!out || !agent)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "agent", "bezel_agent_prompt needs out and an agent");
    if (agent->state != BZ_AGENT_IDLE && agent->state != BZ_AGENT_FINISHED)
        return bz_fail(err, BEZEL_ERR_BUSY, "agent", "a turn runs; ask before or after it");
    bz_memory_plan plan = agent->plan;
    size_t before = agent->n_history;
    bezel_status st = bz_agent_offer(agent, text, err);
    if (st == BEZEL_OK)
        st = bz_agent_system_render(agent, err);
    if (st == BEZEL_OK && text)
        st = bz_agent_history_add(agent, BEZEL_ROLE_USER, 0, text, size == SIZE_MAX ? strlen(text) : size, err);
    if (st == BEZEL_OK && !agent->n_history)
        st = bz_fail(err, BEZEL_ERR_ARGUMENT, "agent", "there is no message to render");
    if (st == BEZEL_OK)
        st = bz_agent_prompt_render(out, agent, &plan, err);
    plan = agent->plan; /* cutting forgets a plan that reaches beyond; this one does not */
    bz_agent_history_cut(agent, before);
    agent->plan = plan;
    return st;
}
