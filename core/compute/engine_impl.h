/* SPDX-License-Identifier: MIT */
/* Inside of bezel_engine. Immutable after bezel_engine_new but for what its parts guard themselves. */
#ifndef BZ_ENGINE_IMPL_H
#define BZ_ENGINE_IMPL_H

#include <bezel/engine.h>

#include "base/job_impl.h"
#include "base/log.h"
#include "base/thread_pool.h"
#include "compute/kernel.h"

#include <stdatomic.h>

#define BZ_ENGINE_MAX_THREADS 256u

struct bezel_engine {
    bezel_world world; /* what everything uses: counts memory, forwards to `host` */
    bezel_world host;
    bz_log *log;
    bz_thread_pool *pool;
    unsigned cpus[BZ_ENGINE_MAX_THREADS]; /* [n_cpus] of the option affinity */
    size_t n_cpus;
    bz_worker *worker;
    const bz_kernel *kernel;     /* table of the chosen level */
    uint32_t isa;                /* BEZEL_ISA_..., never AUTO */
    int blas_ok;                 /* OpenBLAS is built in and passed its check at start */
    _Atomic uint64_t bytes_now, bytes_peak; /* allocated through `world`, the engine itself not counted */
};

#endif
