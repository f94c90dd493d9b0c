/* SPDX-License-Identifier: MIT */
/* bezel_sampling: how the next token is picked. Part of the options of a generation; no object of its own.
 *
 *     bezel_generate_options o;
 *     bezel_generate_options_init(&o);     // sampling is the model's recommendation
 *     bezel_sampling_greedy(&o.sampling);  // or: always the likeliest token
 *     bezel_generate(&job, session, &o, &err);
 *
 * The order is Hugging Face's: logit bias, repetition penalty, then, unless greedy, temperature, top-k, top-p, min-p,
 * softmax, draw. What is out of range is refused when a generation begins (BEZEL_ERR_RANGE; err.place names the
 * member). */
#ifndef BEZEL_SAMPLING_H
#define BEZEL_SAMPLING_H

#include <bezel/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Makes one token likelier, less likely or impossible, before everything else is done to the logits.
 * Two entries for one token add up. */
typedef struct bezel_logit_bias {
    /* id inside the vocabulary */
    int32_t id;
    /* added to the logit: -1e6 to 1e6, or -INFINITY, which forbids the token; at least one token must stay allowed */
    float bias;
} bezel_logit_bias;

/* Options of a sampler. Fill it with one of the three functions below, then change members.
 * A struct that none of them has filled is BEZEL_ERR_VERSION when a generation begins. */
typedef struct bezel_sampling {
    /* set by the functions below */
    uint32_t size;
    /* 0 = greedy: the largest logit, the lowest id among equals, the members from top_k to min_p unused; else up to
     * 100 */
    float temperature;
    /* only the k likeliest tokens, and those as likely as the k-th;
     * 0 = off */
    uint32_t top_k;
    /* only the likeliest tokens that together have at least this share; more than 0, at most 1; 1 = off */
    float top_p;
    /* only tokens at least this share as likely as the likeliest; 0 to 1; 0 = off */
    float min_p;
    /* positive logits of tokens that occur in the timeline, prompt included, are divided by it, negative ones
     * multiplied; 0.001 to 1000; 1 = off */
    float repetition_penalty;
    /* 0 = from the world's random source, another one each time; else the same seed gives the same text for the same
     * model, timeline, options and instruction set */
    uint64_t seed;
    /* entries of bias; default 0; at most as many as there are tokens (256 in an agent) */
    uint32_t n_bias;
    /* 0 */
    uint32_t reserved;
    /* [n_bias], borrowed for the call that takes the options, which copies it; NULL when n_bias is 0 */
    const bezel_logit_bias *bias;
    /* 0: room for members to come, because this struct lies inside others */
    uint64_t spare[4];
} bezel_sampling;

/* Fills in the model's recommendation: temperature 1, top_k 64, top_p 0.95, no penalty.
 * The default of bezel_generate. out must not be NULL.
 *   Thread   any
 *   Source   generation_config.json of the Gemma 3 models
 *   Since    0.1 */
BEZEL_API void bezel_sampling_init(bezel_sampling *out);

/* Fills in greedy without penalty: the same answer every time. The default of agents, whose calls it makes more
 * reliable. out must not be NULL.
 *   Thread   any
 *   Since    0.1 */
BEZEL_API void bezel_sampling_greedy(bezel_sampling *out);

/* Fills in the defaults of the chat service that Bezel can stand in for: temperature 0.7, top_p 0.9, repetition_penalty
 * 1.05, no top-k. out must not be NULL.
 *   Thread   any
 *   Since    0.1 */
BEZEL_API void bezel_sampling_service(bezel_sampling *out);

#ifdef __cplusplus
}
#endif
#endif
