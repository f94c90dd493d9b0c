/* SPDX-License-Identifier: MIT */
/* Which part of a history is sent. Knows roles and token counts, nothing of models. */
#ifndef BZ_MEMORY_H
#define BZ_MEMORY_H

#include <bezel/chat.h>

#include "base/status.h"

typedef struct bz_memory_message { /* text is owned by the history */
    uint32_t role;
    uint32_t step;
    char *text; /* NUL-terminated */
    size_t size;
    int is_tainted; /* it is, or was written before, text that neither the host nor its user wrote */
} bz_memory_message;

/* What is sent: system and tools, then [first, skip_begin) and [skip_end, count) of the history. */
typedef struct bz_memory_plan {
    size_t first;
    size_t skip_begin, skip_end; /* equal when nothing of the current turn is left out */
    size_t n_tokens;  /* of the whole prompt */
    size_t n_dropped; /* tokens that this fit left out beyond what the last plan left out already */
} bz_memory_plan;

typedef struct bz_memory_fit {
    const bz_memory_message *messages; /* [count] the last one asks for an answer */
    size_t count;
    size_t limit;  /* tokens a prompt may have */
    size_t target; /* <= limit: where dropping stops, so that the next turns need not drop again */
    int drop;      /* 0: a history that does not fit is an error */
    void *ud;      /* measures the prompt of a plan */
    bezel_status (*measure)(void *ud, const bz_memory_plan *plan, size_t *out_tokens, bezel_error *err);
} bz_memory_fit;

/* plan: in the last one (zeroed for none), out the next. Leaves out, oldest first: whole exchanges (a question with all
 * its calls, results and answers), then calls with their results of the current one, but never the question or the
 * last results.
 *   Errors   BEZEL_ERR_FULL names the tokens found and allowed; plan is unchanged */
bezel_status bz_memory_choose(bz_memory_plan *plan, const bz_memory_fit *fit, bezel_error *err);

#endif
