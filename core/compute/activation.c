/* SPDX-License-Identifier: MIT */
/* Floats to rows of integer activations, in plain C. The faster levels have their own loops and must make the same bits. */
#include "compute/activation.h"

#include <math.h>
#include <string.h>

enum { ACTIVATION_GROUP = 32, ACTIVATION_MAX = 32767 };

size_t bz_activation_row_size(size_t K)
{
    const size_t size = K * sizeof(int16_t) + K / 32 * 4 * sizeof(float);
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
    float *sum = d + K / 32, *total = sum + K / 16;
    for (size_t g = 0; g < K / ACTIVATION_GROUP; g++, x += ACTIVATION_GROUP, q += ACTIVATION_GROUP) {
        const float max = activation_max(x);
        const int finite = max < INFINITY, usable = finite && max >= 1e-30f;
        const float inverse = usable ? (float)ACTIVATION_MAX / max : 0.0f;
        d[g] = usable ? max / (float)ACTIVATION_MAX : finite ? 0.0f : NAN;
        int32_t of_half[2] = {0, 0};
        for (int i = 0; i < ACTIVATION_GROUP; i++) {
            q[i] = usable ? (int16_t)rintf(x[i] * inverse) : (int16_t)0;
            of_half[i / 16] += q[i];
        }
        sum[2 * g] = d[g] * (float)of_half[0];
        sum[2 * g + 1] = d[g] * (float)of_half[1];
        total[g] = d[g] * (float)(of_half[0] + of_half[1]);
    }
}
