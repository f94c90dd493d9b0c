/* SPDX-License-Identifier: MIT */
/* Known families, one row each: what their files leave out. Sources: the published configurations of Gemma 1, 2 and 3
 * and the defaults that converters rely on. No code here but the look-up. */
#include "model/config.h"

#include <stdio.h>
#include <string.h>

static const bz_family families[] = {
    /* arch, period, window, bases global and local, caps of scores and logits, wide size, q/k norm, post norms */
    {"gemma", 0, 0, 10000.0f, 10000.0f, 0.0f, 0.0f, 0, 0, 0},
    {"gemma2", 2, 4096, 10000.0f, 10000.0f, 50.0f, 30.0f, 46, 0, 1},
    /* Converters write rope.freq_base of a Gemma 3 file; its own value is the only sensible one when they did not. */
    {"gemma3", 6, 0, 1000000.0f, 10000.0f, 0.0f, 0.0f, 62, 1, 1},
};
#define N_FAMILIES (sizeof families / sizeof families[0])

const bz_family *bz_family_find(const char *arch, size_t size)
{
    for (size_t i = 0; i < N_FAMILIES; i++) {
        if (strlen(families[i].arch) == size && memcmp(families[i].arch, arch, size) == 0)
            return &families[i];
    }
    return NULL;
}

void bz_family_names(char *out, size_t capacity)
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < N_FAMILIES && used < capacity; i++)
        used += (size_t)snprintf(out + used, capacity - used, "%s%s", i ? ", " : "", families[i].arch);
}
