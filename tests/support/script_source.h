/* SPDX-License-Identifier: MIT */
/* A scripted model for agents: each model call is answered with the next reply, in pieces; what was asked is kept. */
#ifndef TEST_SCRIPT_SOURCE_H
#define TEST_SCRIPT_SOURCE_H

#include <stddef.h>

#include "agent_impl.h"

typedef struct script_reply {
    const char *text;
    uint32_t stop_reason;   /* 0 = BEZEL_STOP_EOS */
    bezel_status fails;     /* a negative status after the text in place of the end */
    const char *other;      /* begins what the model nearly said: an alternative to the first token, or NULL */
    const char *other_call; /* the same for the token where it parts from text */
} script_reply;

enum { SCRIPT_ASKED = 32 };

typedef struct script_source {
    bz_turn_source source; /* give this to bz_agent_new_with */
    bezel_model *model;
    const script_reply *replies;
    size_t n_replies, next;
    size_t piece; /* bytes a step; 0 = 7 */

    char *prompts[SCRIPT_ASKED]; /* texts of the prompts, control tokens spelled */
    char *forced[SCRIPT_ASKED];  /* texts of the forced beginnings, "" for none */
    uint32_t n_bias[SCRIPT_ASKED];
    size_t n_asked;

    const script_reply *now;
    size_t at, shown;
    int cancelled;
    int32_t ids[512];
    int32_t top_ids[1024];
    float top_logprobs[1024];
    size_t n_ids;
    uint32_t n_top;
    size_t n_prompt;
} script_source;

void script_source_init(script_source *s, bezel_model *model, const script_reply *replies, size_t n);
void script_source_free(script_source *s);

#endif
