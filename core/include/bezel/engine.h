/* SPDX-License-Identifier: MIT */
/* bezel_engine: the machine that models run on. One per host: the world, the thread pool, the chosen kernels, the log.
 *
 *     bezel_engine_options o;
 *     bezel_engine_options_init(&o);
 *     o.threads = 2;
 *     bezel_engine *engine = NULL;
 *     if (bezel_engine_new(&engine, &o, &err) != BEZEL_OK) ...
 *     ... models, sessions, trees, toolsets, stores ...
 *     bezel_engine_free(engine);   // after everything made with it
 *
 * Everything else is made with an engine and takes its memory from it. Two engines in one process share nothing. */
#ifndef BEZEL_ENGINE_H
#define BEZEL_ENGINE_H

#include <bezel/base.h>
#include <bezel/value.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- Options ------------------------------------------------------------------------------ */

/* Instruction sets, worst first. A level contains those of its architecture below it. The same level gives the same
 * text for the same seed whatever the number of threads; two levels may differ in the last bits of a logit. */
enum {
    /* BEZEL_ISA of the environment ("auto", "scalar", "avx2", "avx512", "neon", "amx"), else the best the machine has */
    BEZEL_ISA_AUTO = 0,
    /* the reference: plain C, sessions with float activations unless they ask for other ones */
    BEZEL_ISA_SCALAR = 1,
    /* x86-64 with AVX2, FMA, F16C */
    BEZEL_ISA_AVX2 = 2,
    /* x86-64 with AVX-512 F, BW, VL, DQ, VNNI */
    BEZEL_ISA_AVX512 = 3,
    /* 64-bit ARM */
    BEZEL_ISA_NEON = 4,
    /* AVX-512 with the tiles of AMX in products of 16 positions and more; asks Linux for their registers, for the whole
     * process */
    BEZEL_ISA_AMX = 5
};

/* How an engine is made. Fill it with bezel_engine_options_init, then set what you need. */
typedef struct bezel_engine_options {
    /* set by bezel_engine_options_init */
    uint32_t size;
    /* threads that compute, the caller's included: 1 to 256; 0 (default) = one a core this process may use, at most
     * 8. 1 = the caller's alone, none is started. Between runs of rows they spin for some ten microseconds, then they sleep;
     * with more threads than cores they sleep almost at once. A child of fork has none of them: make its engine after fork */
    uint32_t threads;
    /* BEZEL_ISA_...; default AUTO. One that the machine or the build lacks is refused, never replaced */
    uint32_t isa;
    /* most talkative level that is given out, BEZEL_LOG_...; 0 (default) = silent */
    uint32_t log_level;
    /* takes log lines; NULL (default) = silent */
    bezel_log_fn log;
    /* first argument of log */
    void *log_ud;
    /* where memory, files, time and threads come from; NULL (default) = the system's. Copied */
    const bezel_world *world;
    /* processors to stay on, as "0,2-3"; NULL or "" (default) = the system chooses. Thread i of `threads` stays on entry i,
     * from the first again when there are more; thread 0 is whichever calls, and is never moved: the host places it. With
     * threads 0, as many threads as entries (at most 8). Only for Linux */
    const char *affinity;
} bezel_engine_options;

/* Fills the options with the defaults above.
 * out must not be NULL.
 *   Thread   any
 *   Since    0.1 */
BEZEL_API void bezel_engine_options_init(bezel_engine_options *out);

/* --- Create and free ---------------------------------------------------------------------- */

/* Makes an engine; options NULL are the defaults.
 * Chooses the kernels and checks the BLAS, if the build has one, on small products: right numbers, and the same bits at
 * every place of a product. A BLAS that fails is not used (prompts over F32, F16 and BF16 weights then take our own kernels), nor
 * an OpenBLAS that is set to several threads of its own (OPENBLAS_NUM_THREADS=1 is what it wants); the log says so.
 * Worker threads start with the first work that needs them, the background thread with the first job that is handed to
 * it, so an engine that only counts tokens has no threads.
 *   Owns     *out is the caller's, free with bezel_engine_free after everything that was made with it
 *   Thread   locked by itself: models and sessions of one engine may live on different threads. When several compute at
 *            once, one has the pool and the others compute on their own thread alone
 *   Errors   UNSUPPORTED for an instruction set that is not there; RANGE for threads, log_level, or a processor
 *            that this process may not use; ARGUMENT for an
 *            unknown isa or value of BEZEL_ISA; *out is NULL
 *   Since    0.1 */
BEZEL_API bezel_status bezel_engine_new(bezel_engine **out, const bezel_engine_options *options, bezel_error *err);

/* Stops the threads, gives out the log lines that wait, and frees the engine; NULL is fine.
 * No model, session, job, tree, toolset, store, prompt, response or text of it may exist any more: nothing checks that.
 *   Thread   the last that uses the engine
 *   Since    0.1 */
BEZEL_API void bezel_engine_free(bezel_engine *engine);

/* --- Inspection --------------------------------------------------------------------------- */
/* Here `engine` must not be NULL. */

/* The world the engine uses: the host's, every member filled, with memory counted.
 * For code that extends Bezel and wants to share its allocator and clock; pass the `ud` of this table.
 *   Owns     the engine's; lives as long as it
 *   Thread   any
 *   Since    0.1 */
BEZEL_API const bezel_world *bezel_engine_world(const bezel_engine *engine);

/* The chosen level, one of BEZEL_ISA_..., never AUTO.
 *   Thread   any
 *   Since    0.1 */
BEZEL_API uint32_t bezel_engine_isa(const bezel_engine *engine);

/* Name of a level: "auto", "scalar", "avx2", "avx512", "neon", "amx"; "unknown" for any other number.
 *   Owns     static text
 *   Thread   any
 *   Since    0.1 */
BEZEL_API const char *bezel_isa_name(uint32_t isa);

/* Level with this name, in lower case; UINT32_MAX for an unknown name or NULL.
 *   Thread   any
 *   Since    0.1 */
BEZEL_API uint32_t bezel_isa_from_name(const char *name);

/* Threads that compute, the caller's included. Some may be missing where the system refused to start them; the work is
 * then done by the others.
 *   Thread   any
 *   Since    0.1 */
BEZEL_API uint32_t bezel_engine_threads(const bezel_engine *engine);

/* Bytes that the engine's allocator holds now and held at most. Mapped weights are not among them, nor is the struct of
 * the engine, nor the memory of SQLite, cJSON and libcurl. Either pointer may be NULL.
 *   Units    bytes
 *   Thread   any; each number is exact, the two are not taken at the same instant
 *   Since    0.1 */
BEZEL_API void bezel_engine_memory(const bezel_engine *engine, uint64_t *out_now, uint64_t *out_peak);

/* A map with what `bezel doctor` shows.
 * Keys: version, isa, isa_levels (list of names that this machine and build can run), threads, affinity (list of processors), cores, page_size, blas
 * {built, ok, name}, bytes, peak_bytes (as bezel_engine_memory), resident_bytes (of the process; 0 when unknown).
 *   Units    bytes
 *   Owns     *out lives in tree
 *   Thread   that of the tree
 *   Errors   that of the tree when it has no room; *out is NULL
 *   Since    0.1 */
BEZEL_API bezel_status bezel_engine_describe(bezel_value **out, bezel_tree *tree, bezel_engine *engine,
                                             bezel_error *err);

#ifdef __cplusplus
}
#endif
#endif
