/* SPDX-License-Identifier: MIT */
/* Chooses a table of kernels. Nothing is remembered: the engine keeps the pointer it got. */
#include <bezel/engine.h>

#include "compute/cpu_features.h"
#include "compute/kernel.h"

/* Levels that are built in, best first. */
static const bz_kernel *const kernel_levels[] = {
#if defined(__x86_64__)
    &bz_kernel_amx,
    &bz_kernel_avx512,
    &bz_kernel_avx2_vnni,
    &bz_kernel_avx2,
#elif defined(__aarch64__)
    &bz_kernel_neon_dotprod,
    &bz_kernel_neon,
#endif
    &bz_kernel_ref,
};

static int kernel_runs(const bz_kernel *k)
{
#if defined(__x86_64__)
    if (k == &bz_kernel_avx2_vnni && !bz_cpu_has_avx_vnni())
        return 0;
#elif defined(__aarch64__)
    if (k == &bz_kernel_neon_dotprod && !bz_cpu_has_dotprod())
        return 0;
#endif
    return bz_cpu_can(k->isa);
}

const bz_kernel *bz_kernel_find(uint32_t isa)
{
    for (size_t i = 0; i < sizeof kernel_levels / sizeof *kernel_levels; i++) {
        const bz_kernel *k = kernel_levels[i];
        if ((isa == BEZEL_ISA_AUTO || k->isa == isa) && kernel_runs(k))
            return k;
    }
    return NULL;
}

uint32_t bz_kernel_best_isa(void)
{
    return bz_kernel_find(BEZEL_ISA_AUTO)->isa;
}

int bz_kernel_has(uint32_t isa)
{
    return isa != BEZEL_ISA_AUTO && bz_kernel_find(isa) != NULL;
}
