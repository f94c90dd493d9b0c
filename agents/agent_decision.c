/* SPDX-License-Identifier: MIT */
/* What was decided in a turn, for its record. */
#include <string.h>

#include "agent_impl.h"

#include "base/alloc.h"

static const char *decision_text(bezel_agent *a, const char *text, int *ok)
{
    const char *copy = text ? bz_arena_text(&a->arena, text, SIZE_MAX) : NULL;
    *ok &= !text || copy;
    return copy;
}

bezel_status bz_agent_decide(bezel_agent *a, const char *kind, const char *outcome, const bz_agent_call *call, const char *name,
                             const char *detail, bezel_error *err)
{
    int ok = bz_agent_grow(a->world, &a->decisions, &a->decisions_capacity, a->n_decisions, sizeof *a->decisions);
    bezel_journal_decision d = {.step = a->step ? a->step - 1 : 0,
                                .call = call ? (int32_t)(call - a->calls) : -1,
                                .at_us = (a->world->monotonic_ns(a->world->ud) - a->started_ns) / 1000,
                                .kind = kind,
                                .outcome = outcome};
    if (ok) {
        d.name = decision_text(a, name, &ok);
        d.detail = decision_text(a, detail, &ok);
    }
    if (!ok)
        return bz_fail_memory(err, "agent", "a decision", sizeof d);
    a->decisions[a->n_decisions++] = d;
    return BEZEL_OK;
}
