/* SPDX-License-Identifier: MIT */
/* bezel_engine: the machine that models run on. One per host: the world, the thread pool, the chosen kernels, the log.
 *
 *     bezel_engine_options o;
 *     bezel_engine_options_init(&o);
 *     o.threads = 2;
 *     bezel_engine *engine;
 *     bezel_engine_new(&engine, &o, &err);
 *     ...
 *     bezel_engine_free(engine);   // after everything made with it
 */
#ifndef BEZEL_ENGINE_H
#define BEZEL_ENGINE_H

#include <bezel/base.h>
#include <bezel/value.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Instruction sets, worst first. A level contains those of its architecture below it. */
enum {
    BEZEL_ISA_AUTO = 0,   /* BEZEL_ISA of the environment, else the best the machine has */
    BEZEL_ISA_SCALAR = 1, /* the reference: plain C, float activations where the session asks for them */
    BEZEL_ISA_AVX2 = 2,   /* AVX2, FMA, F16C */
    BEZEL_ISA_AVX512 = 3, /* AVX-512 F, BW, VL, DQ, VNNI */
    BEZEL_ISA_NEON = 4
};

typedef struct bezel_engine_options {
    uint32_t size;        /* set by bezel_engine_options_init */
    uint32_t threads;     /* workers, the caller's thread included; 0 = one a core, at most 8 */
    uint32_t isa;         /* BEZEL_ISA_...; one the machine lacks is BEZEL_ERR_UNSUPPORTED */
    uint32_t log_level;   /* BEZEL_LOG_...; 0 = silent */
    bezel_log_fn log;     /* NULL = silent */
    void *log_ud;
    const bezel_world *world; /* NULL = the system's; copied */
} bezel_engine_options;

BEZEL_API void bezel_engine_options_init(bezel_engine_options *out);

/*   Owns     *out is the caller's, free with bezel_engine_free after everything that was made with it
 *   Thread   the engine is shared: models and sessions of it may live on different threads */
BEZEL_API bezel_status bezel_engine_new(bezel_engine **out, const bezel_engine_options *options, bezel_error *err);
BEZEL_API void bezel_engine_free(bezel_engine *engine);

/* The world the engine uses, with every member filled. Lives as long as the engine. */
BEZEL_API const bezel_world *bezel_engine_world(const bezel_engine *engine);
BEZEL_API uint32_t bezel_engine_isa(const bezel_engine *engine);
BEZEL_API const char *bezel_isa_name(uint32_t isa); /* "scalar", "avx2", "avx512", "neon" */
BEZEL_API uint32_t bezel_isa_from_name(const char *name); /* BEZEL_ISA_AUTO for "auto", UINT32_MAX for an unknown name */
BEZEL_API uint32_t bezel_engine_threads(const bezel_engine *engine);
/* Bytes that the engine's allocator holds now and held at most. */
BEZEL_API void bezel_engine_memory(const bezel_engine *engine, uint64_t *out_now, uint64_t *out_peak);
/* What `bezel doctor` shows: ISA levels of the machine, threads, page size, BLAS and whether its self-check passed.
 *   Owns     *out lives in tree */
BEZEL_API bezel_status bezel_engine_describe(bezel_value **out, bezel_tree *tree, bezel_engine *engine,
                                             bezel_error *err);

#ifdef __cplusplus
}
#endif
#endif
