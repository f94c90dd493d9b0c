/* SPDX-License-Identifier: MIT */
/* How the next token is picked. The order is Hugging Face's: logit bias, repetition penalty, then, unless greedy,
 * temperature, top-k, top-p, min-p, softmax, draw. */
#ifndef BEZEL_SAMPLING_H
#define BEZEL_SAMPLING_H

#include <bezel/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct bezel_logit_bias {
    int32_t id;
    float bias; /* added to the logit; -INFINITY forbids the token */
} bezel_logit_bias;

typedef struct bezel_sampling {
    uint32_t size;            /* set by the initialisers */
    float temperature;        /* 0 = greedy (argmax, lowest id wins a tie); else > 0 */
    uint32_t top_k;           /* 0 = off */
    float top_p;              /* 0 < p <= 1; 1 = off */
    float min_p;              /* 0..1; 0 = off */
    float repetition_penalty; /* > 0; 1 = off; over the whole timeline, the prompt included */
    uint64_t seed;            /* 0 = from the world's random source; else the same seed gives the same text */
    uint32_t n_bias;
    uint32_t reserved;
    const bezel_logit_bias *bias; /* [n_bias], borrowed for the call */
} bezel_sampling;

/* The model's recommendation (R39): temperature 1, top_k 64, top_p 0.95, no penalty. Default of sessions. */
BEZEL_API void bezel_sampling_init(bezel_sampling *out);
/* Greedy without penalty. Default of agents. */
BEZEL_API void bezel_sampling_greedy(bezel_sampling *out);
/* The service's defaults (R9): temperature 0.7, top_p 0.9, repetition_penalty 1.05. */
BEZEL_API void bezel_sampling_service(bezel_sampling *out);

#ifdef __cplusplus
}
#endif
#endif
