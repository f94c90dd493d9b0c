/* SPDX-License-Identifier: MIT */
/* xoshiro256** (Blackman and Vigna, "Scrambled linear pseudorandom number generators", 2018), its state filled by
 * splitmix64 (Steele, Lea, Flood, 2014). The same seed gives the same stream on every machine. Not for secrets. */
#include "base/rng.h"

static uint64_t rng_splitmix(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

static uint64_t rng_rotate(uint64_t x, unsigned k)
{
    return x << k | x >> (64 - k);
}

void bz_rng_seed(bz_rng *r, uint64_t seed)
{
    for (int i = 0; i < 4; i++)
        r->s[i] = rng_splitmix(&seed);
}

uint64_t bz_rng_next(bz_rng *r)
{
    uint64_t *s = r->s;
    uint64_t result = rng_rotate(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rng_rotate(s[3], 45);
    return result;
}

double bz_rng_unit(bz_rng *r)
{
    return (double)(bz_rng_next(r) >> 11) * 0x1.0p-53;
}
