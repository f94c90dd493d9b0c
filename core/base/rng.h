/* SPDX-License-Identifier: MIT */
/* Seeded generator, the same stream on every machine. Not for secrets. */
#ifndef BZ_RNG_H
#define BZ_RNG_H

#include <stdint.h>

typedef struct bz_rng {
    uint64_t s[4];
} bz_rng;

void bz_rng_seed(bz_rng *r, uint64_t seed);
uint64_t bz_rng_next(bz_rng *r);
double bz_rng_unit(bz_rng *r); /* 0 <= x < 1, 53 bits */

#endif
