/* SPDX-License-Identifier: MIT */
/* Floats to rows of integer activations, in plain C. The faster levels have their own loops and must make the same bits. */
#include "compute/activation.h"

#include <math.h>
#include <string.h>

enum { ACTIVATION_GROUP = 32, ACTIVATION_MAX = 32767 };

size_t bz_activation_row_size(size_t K)
{
    const size_t size = K * sizeof(int16_t) + K / 32 * sizeof(float) + K / 16 * sizeof(float);
    return (size + 63) & ~(size_t)63;
}

/* Largest magnitude as the bits of a float: those order like the values, with infinity and NaN on top. */
static float activation_max(const float *x)
{
    uint32_t best = 0;
    for (int i = 0; i < ACTIVATION_GROUP; i++) {
        uint32_t u;
        memcpy(&u, x + i, sizeof u);
        u &= 0x7fffffffu;
        best = u > best ? u : best;
    }
    float max;
    memcpy(&max, &best, sizeof max);
    return max;
}

void bz_activation_quantize(void *out, const float *x, size_t K)
{
    int16_t *q = out;
    float *d = (float *)(void *)((char *)out + K * sizeof(int16_t));
    float *sum = d + K / 32;
    for (size_t g = 0; g < K / ACTIVATION_GROUP; g++, x += ACTIVATION_GROUP, q += ACTIVATION_GROUP) {
        const float max = activation_max(x);
        const int finite = max < INFINITY, usable = finite && max >= 1e-30f;
        const float inverse = usable ? (float)ACTIVATION_MAX / max : 0.0f;
        d[g] = usable ? max / (float)ACTIVATION_MAX : finite ? 0.0f : NAN;
        for (int half = 0; half < 2; half++) {
            int32_t total = 0;
            for (int i = 16 * half; i < 16 * half + 16; i++) {
                q[i] = usable ? (int16_t)rintf(x[i] * inverse) : (int16_t)0;
                total += q[i];
            }
            sum[2 * g + (size_t)half] = d[g] * (float)total;
        }
    }
}
