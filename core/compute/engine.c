/* SPDX-License-Identifier: MIT */
/* The engine: the host's world behind a counter of memory, the log, the pool, the worker and the chosen kernels. Immutable
 * after bezel_engine_new but for the counters and what its parts guard themselves. Computes nothing. */
#include "compute/engine_impl.h"

#include "base/alloc.h"
#include "base/options.h"
#include "base/os.h"
#include "base/status.h"
#include "compute/blas.h"

#include <stdlib.h>
#include <string.h>

#define BZ_ENGINE_DEFAULT_THREADS 8u

/* --- The engine's world: the host's, with memory counted ---------------------------------- */

static void engine_count(bezel_engine *engine, size_t old_size, size_t new_size)
{
    uint64_t now = atomic_fetch_add(&engine->bytes_now, (uint64_t)new_size - old_size) + new_size - old_size;
    uint64_t peak = atomic_load(&engine->bytes_peak);
    while (now > peak && !atomic_compare_exchange_weak(&engine->bytes_peak, &peak, now))
        continue;
}

static void *engine_allocate(void *ud, void *ptr, size_t old_size, size_t new_size)
{
    bezel_engine *engine = ud;
    void *block = engine->host.allocate(engine->host.ud, ptr, old_size, new_size);
    if (block != NULL || new_size == 0)
        engine_count(engine, old_size, new_size);
    return block;
}

static int64_t engine_monotonic_ns(void *ud)
{
    const bezel_world *h = &((bezel_engine *)ud)->host;
    return h->monotonic_ns(h->ud);
}

static int64_t engine_wall_ms(void *ud)
{
    const bezel_world *h = &((bezel_engine *)ud)->host;
    return h->wall_ms(h->ud);
}

static bezel_status engine_random(void *ud, void *buffer, size_t size)
{
    const bezel_world *h = &((bezel_engine *)ud)->host;
    return h->random(h->ud, buffer, size);
}

static bezel_status engine_file_open(void *ud, bezel_file **out, const char *path, uint32_t mode)
{
    const bezel_world *h = &((bezel_engine *)ud)->host;
    return h->file_open(h->ud, out, path, mode);
}

static bezel_status engine_file_info(void *ud, bezel_file *file, bezel_file_info *out)
{
    const bezel_world *h = &((bezel_engine *)ud)->host;
    return h->file_info(h->ud, file, out);
}

static bezel_status engine_file_read(void *ud, bezel_file *file, uint64_t offset, void *buffer, size_t size)
{
    const bezel_world *h = &((bezel_engine *)ud)->host;
    return h->file_read(h->ud, file, offset, buffer, size);
}

static bezel_status engine_file_write(void *ud, bezel_file *file, uint64_t offset, const void *bytes, size_t size)
{
    const bezel_world *h = &((bezel_engine *)ud)->host;
    return h->file_write(h->ud, file, offset, bytes, size);
}

static bezel_status engine_file_map(void *ud, bezel_file *file, uint64_t size, const void **out)
{
    const bezel_world *h = &((bezel_engine *)ud)->host;
    return h->file_map(h->ud, file, size, out);
}

static void engine_file_unmap(void *ud, const void *address, uint64_t size)
{
    const bezel_world *h = &((bezel_engine *)ud)->host;
    h->file_unmap(h->ud, address, size);
}

static bezel_status engine_file_sync(void *ud, bezel_file *file)
{
    const bezel_world *h = &((bezel_engine *)ud)->host;
    return h->file_sync(h->ud, file);
}

static void engine_file_close(void *ud, bezel_file *file)
{
    const bezel_world *h = &((bezel_engine *)ud)->host;
    h->file_close(h->ud, file);
}

static bezel_status engine_file_rename(void *ud, const char *from, const char *to)
{
    const bezel_world *h = &((bezel_engine *)ud)->host;
    return h->file_rename(h->ud, from, to);
}

static bezel_status engine_file_remove(void *ud, const char *path)
{
    const bezel_world *h = &((bezel_engine *)ud)->host;
    return h->file_remove(h->ud, path);
}

static bezel_status engine_file_list(void *ud, const char *folder, void (*fn)(void *arg, const char *name), void *arg)
{
    const bezel_world *h = &((bezel_engine *)ud)->host;
    return h->file_list(h->ud, folder, fn, arg);
}

static bezel_status engine_thread_start(void *ud, bezel_thread **out, const char *name, void (*fn)(void *arg), void *arg)
{
    const bezel_world *h = &((bezel_engine *)ud)->host;
    return h->thread_start(h->ud, out, name, fn, arg);
}

static void engine_thread_join(void *ud, bezel_thread *thread)
{
    const bezel_world *h = &((bezel_engine *)ud)->host;
    h->thread_join(h->ud, thread);
}

static void engine_world_init(bezel_engine *engine)
{
    engine->world = (bezel_world){
        .size = (uint32_t)sizeof engine->world,
        .ud = engine,
        .allocate = engine_allocate,
        .monotonic_ns = engine_monotonic_ns,
        .wall_ms = engine_wall_ms,
        .random = engine_random,
        .file_open = engine_file_open,
        .file_info = engine_file_info,
        .file_read = engine_file_read,
        .file_write = engine_file_write,
        .file_map = engine_file_map,
        .file_unmap = engine_file_unmap,
        .file_sync = engine_file_sync,
        .file_close = engine_file_close,
        .file_rename = engine_file_rename,
        .file_remove = engine_file_remove,
        .thread_start = engine_thread_start,
        .thread_join = engine_thread_join,
        .file_list = engine_file_list,
    };
}

/* The host's table with the system's own functions where it has none. These ignore `ud`, so one ud serves both. */
static bezel_status engine_host_world(bezel_world *out, const bezel_world *in, bezel_error *err)
{
    bezel_world system;
    bezel_status status;
    bz_os_world(&system);
    *out = system;
    status = bz_options_read(out, sizeof *out, in, "engine", err);
    if (status != BEZEL_OK)
        return bz_error_place(err, status, "options.world");
#define BZ_WORLD_FILL(member) out->member = out->member != NULL ? out->member : system.member
    BZ_WORLD_FILL(allocate);
    BZ_WORLD_FILL(monotonic_ns);
    BZ_WORLD_FILL(wall_ms);
    BZ_WORLD_FILL(random);
    BZ_WORLD_FILL(file_open);
    BZ_WORLD_FILL(file_info);
    BZ_WORLD_FILL(file_read);
    BZ_WORLD_FILL(file_write);
    BZ_WORLD_FILL(file_map);
    BZ_WORLD_FILL(file_unmap);
    BZ_WORLD_FILL(file_sync);
    BZ_WORLD_FILL(file_close);
    BZ_WORLD_FILL(file_rename);
    BZ_WORLD_FILL(file_remove);
    BZ_WORLD_FILL(thread_start);
    BZ_WORLD_FILL(thread_join);
    BZ_WORLD_FILL(file_list);
#undef BZ_WORLD_FILL
    return BEZEL_OK;
}

/* --- Instruction sets --------------------------------------------------------------------- */

/* ORDER BEZEL_ISA_... */
static const char *const engine_isa_names[] = {"auto", "scalar", "avx2", "avx512", "neon", "amx"};
#define BZ_ENGINE_ISAS (sizeof engine_isa_names / sizeof engine_isa_names[0])

const char *bezel_isa_name(uint32_t isa)
{
    return isa < BZ_ENGINE_ISAS ? engine_isa_names[isa] : "unknown";
}

uint32_t bezel_isa_from_name(const char *name)
{
    for (uint32_t i = 0; name != NULL && i < BZ_ENGINE_ISAS; i++) {
        if (strcmp(engine_isa_names[i], name) == 0)
            return i;
    }
    return UINT32_MAX;
}

/* The level that is wanted, from the option or the environment. */
static bezel_status engine_isa_wanted(uint32_t *out, uint32_t isa, bezel_error *err)
{
    const char *name;
    if (isa >= BZ_ENGINE_ISAS) {
        bz_fail(err, BEZEL_ERR_ARGUMENT, "engine", "isa is %lu, expected one of BEZEL_ISA_...", (unsigned long)isa);
        return bz_error_place(err, BEZEL_ERR_ARGUMENT, "options.isa");
    }
    name = isa == BEZEL_ISA_AUTO ? bz_os_env("BEZEL_ISA") : NULL;
    if (name != NULL) {
        isa = bezel_isa_from_name(name);
        if (isa == UINT32_MAX) {
            bz_fail(err, BEZEL_ERR_ARGUMENT, "engine", "instruction set \"%s\" is unknown", name);
            bz_error_place(err, BEZEL_ERR_ARGUMENT, "BEZEL_ISA");
            return bz_error_hint(err, BEZEL_ERR_ARGUMENT, "use auto, scalar, avx2, avx512, neon or amx, or unset it");
        }
    }
    *out = isa == BEZEL_ISA_AUTO ? bz_kernel_best_isa() : isa;
    return BEZEL_OK;
}

static bezel_status engine_choose_kernel(bezel_engine *engine, uint32_t isa, bezel_error *err)
{
    uint32_t wanted = BEZEL_ISA_SCALAR;
    bezel_status status = engine_isa_wanted(&wanted, isa, err);
    if (status != BEZEL_OK)
        return status;
    engine->kernel = bz_kernel_find(wanted);
    if (engine->kernel == NULL) {
        bz_fail(err, BEZEL_ERR_UNSUPPORTED, "engine", "this machine or build has no %s kernels, the best it has is %s",
                bezel_isa_name(wanted), bezel_isa_name(bz_kernel_best_isa()));
        bz_error_place(err, BEZEL_ERR_UNSUPPORTED, isa == BEZEL_ISA_AUTO ? "BEZEL_ISA" : "options.isa");
        return bz_error_hint(err, BEZEL_ERR_UNSUPPORTED, "use auto or %s", bezel_isa_name(bz_kernel_best_isa()));
    }
    engine->isa = engine->kernel->isa;
    return BEZEL_OK;
}

/* --- Create and free ---------------------------------------------------------------------- */

void bezel_engine_options_init(bezel_engine_options *out)
{
    memset(out, 0, sizeof *out);
    out->size = (uint32_t)sizeof *out;
}

/* "0,2-3" to the processors of the list. */
static bezel_status engine_affinity(bezel_engine *engine, const char *list, bezel_error *err)
{
    const char *p = list;
    while (p != NULL && *p != '\0') {
        char *end;
        const unsigned long first = strtoul(p, &end, 10);
        unsigned long last = first;
        int is_good = *p >= '0' && *p <= '9';
        if (is_good && *end == '-') {
            p = end + 1;
            is_good = *p >= '0' && *p <= '9';
            last = strtoul(p, &end, 10);
        }
        for (unsigned long cpu = first; is_good && cpu <= last; cpu++) {
            is_good = engine->n_cpus < BZ_ENGINE_MAX_THREADS && cpu < UINT32_MAX && bz_os_may_use((unsigned)cpu);
            if (is_good)
                engine->cpus[engine->n_cpus++] = (unsigned)cpu;
        }
        is_good &= first <= last && (*end == '\0' || (*end == ',' && end[1] != '\0'));
        if (!is_good) {
            bz_fail(err, BEZEL_ERR_RANGE, "engine", "affinity is \"%s\", expected numbers and ranges of processors that this process may use", list);
            bz_error_place(err, BEZEL_ERR_RANGE, "options.affinity");
            return bz_error_hint(err, BEZEL_ERR_RANGE, "write it as 0,2-3; nproc and taskset -p tell which there are");
        }
        p = *end == ',' ? end + 1 : end;
    }
    return BEZEL_OK;
}

static bezel_status engine_thread_count(unsigned *out, const bezel_engine *engine, uint32_t threads, bezel_error *err)
{
    unsigned cores;
    if (threads > BZ_ENGINE_MAX_THREADS) {
        bz_fail(err, BEZEL_ERR_RANGE, "engine", "threads is %lu, expected at most %u", (unsigned long)threads,
                BZ_ENGINE_MAX_THREADS);
        return bz_error_place(err, BEZEL_ERR_RANGE, "options.threads");
    }
    cores = engine->n_cpus > 0 ? (unsigned)engine->n_cpus : bz_os_cores();
    *out = threads != 0 ? threads : cores < BZ_ENGINE_DEFAULT_THREADS ? cores : BZ_ENGINE_DEFAULT_THREADS;
    return BEZEL_OK;
}

static bezel_status engine_fill(bezel_engine *engine, const bezel_engine_options *o, bezel_error *err)
{
    unsigned threads = 1;
    bezel_status status = engine_affinity(engine, o->affinity, err);
    if (status == BEZEL_OK)
        status = engine_thread_count(&threads, engine, o->threads, err);
    if (status == BEZEL_OK)
        status = engine_choose_kernel(engine, o->isa, err);
    if (status == BEZEL_OK)
        status = bz_log_new(&engine->log, &engine->world, o->log_level, o->log, o->log_ud, err);
    if (status == BEZEL_OK)
        status = bz_thread_pool_new(&engine->pool, &engine->world, threads, err);
    if (status == BEZEL_OK)
        status = bz_worker_new(&engine->worker, &engine->world, err);
    if (status != BEZEL_OK)
        return status;
    bz_thread_pool_place(engine->pool, engine->cpus, engine->n_cpus);
    engine->blas_ok = bz_blas_check();
    if (!engine->blas_ok && bezel_has("blas"))
        bz_log_write(engine->log, BEZEL_LOG_WARNING, "engine", "%s is not used: it failed its check or has several threads of its own (OPENBLAS_NUM_THREADS)",
                     bz_blas_name());
    bz_log_write(engine->log, BEZEL_LOG_INFO, "engine", "Bezel %s, %s, %u threads, %s", bezel_version(),
                 bezel_isa_name(engine->isa), threads, engine->blas_ok ? bz_blas_name() : "no BLAS");
    return BEZEL_OK;
}

bezel_status bezel_engine_new(bezel_engine **out, const bezel_engine_options *options, bezel_error *err)
{
    bezel_engine_options o;
    bezel_engine *engine;
    bezel_world host;
    bezel_status status;
    if (out == NULL)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "engine", "out is NULL");
    *out = NULL;
    bezel_engine_options_init(&o);
    status = bz_options_read(&o, sizeof o, options, "engine", err);
    if (status == BEZEL_OK)
        status = engine_host_world(&host, o.world, err);
    if (status != BEZEL_OK)
        return status;
    engine = bz_zalloc(&host, sizeof *engine);
    if (engine == NULL)
        return bz_fail_memory(err, "engine", "an engine", sizeof *engine);
    engine->host = host;
    engine_world_init(engine);
    status = engine_fill(engine, &o, err);
    if (status != BEZEL_OK) {
        bezel_engine_free(engine);
        return status;
    }
    bz_log_drain(engine->log);
    *out = engine;
    return BEZEL_OK;
}

void bezel_engine_free(bezel_engine *engine)
{
    bezel_world host;
    if (engine == NULL)
        return;
    bz_worker_free(engine->worker);
    bz_thread_pool_free(engine->pool);
    bz_log_drain(engine->log);
    bz_log_free(engine->log);
    host = engine->host;
    bz_free(&host, engine);
}

/* --- Inspection --------------------------------------------------------------------------- */

const bezel_world *bezel_engine_world(const bezel_engine *engine)
{
    return &engine->world;
}

bz_log *bz_engine_log(const bezel_engine *engine)
{
    return engine->log;
}

uint32_t bezel_engine_isa(const bezel_engine *engine)
{
    return engine->isa;
}

uint32_t bezel_engine_threads(const bezel_engine *engine)
{
    return bz_thread_pool_size(engine->pool);
}

void bezel_engine_memory(const bezel_engine *engine, uint64_t *out_now, uint64_t *out_peak)
{
    if (out_now != NULL)
        *out_now = atomic_load(&engine->bytes_now);
    if (out_peak != NULL)
        *out_peak = atomic_load(&engine->bytes_peak);
}

static bezel_value *engine_text(bezel_tree *tree, const char *text)
{
    return bezel_tree_text(tree, text, SIZE_MAX);
}

bezel_status bezel_engine_describe(bezel_value **out, bezel_tree *tree, bezel_engine *engine, bezel_error *err)
{
    bezel_value *map;
    bezel_value *blas;
    bezel_value *levels;
    bezel_value *cpus;
    uint64_t now = 0;
    uint64_t peak = 0;
    if (out == NULL || tree == NULL || engine == NULL)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "engine", "%s is NULL",
                       out == NULL ? "out" : tree == NULL ? "tree" : "engine");
    *out = NULL;
    bz_log_drain(engine->log);
    bezel_engine_memory(engine, &now, &peak);
    map = bezel_tree_map(tree);
    blas = bezel_tree_map(tree);
    levels = bezel_tree_list(tree);
    cpus = bezel_tree_list(tree);
    for (size_t i = 0; i < engine->n_cpus; i++)
        bezel_value_append(tree, cpus, bezel_tree_integer(tree, engine->cpus[i]));
    for (uint32_t isa = BEZEL_ISA_SCALAR; isa < BZ_ENGINE_ISAS; isa++) {
        if (bz_kernel_has(isa))
            bezel_value_append(tree, levels, engine_text(tree, bezel_isa_name(isa)));
    }
    bezel_value_set(tree, blas, "built", bezel_tree_bool(tree, bezel_has("blas")));
    bezel_value_set(tree, blas, "ok", bezel_tree_bool(tree, engine->blas_ok));
    bezel_value_set(tree, blas, "name", engine_text(tree, bz_blas_name()));
    bezel_value_set(tree, map, "version", engine_text(tree, bezel_version()));
    bezel_value_set(tree, map, "isa", engine_text(tree, bezel_isa_name(engine->isa)));
    bezel_value_set(tree, map, "isa_levels", levels);
    bezel_value_set(tree, map, "threads", bezel_tree_integer(tree, bezel_engine_threads(engine)));
    bezel_value_set(tree, map, "affinity", cpus);
    bezel_value_set(tree, map, "cores", bezel_tree_integer(tree, bz_os_cores()));
    bezel_value_set(tree, map, "page_size", bezel_tree_integer(tree, (int64_t)bz_os_page_size()));
    bezel_value_set(tree, map, "blas", blas);
    bezel_value_set(tree, map, "bytes", bezel_tree_integer(tree, (int64_t)now));
    bezel_value_set(tree, map, "peak_bytes", bezel_tree_integer(tree, (int64_t)peak));
    bezel_value_set(tree, map, "resident_bytes", bezel_tree_integer(tree, (int64_t)bz_os_resident_bytes()));
    if (bezel_tree_status(tree) != BEZEL_OK)
        return bz_fail(err, bezel_tree_status(tree), "engine", "the description could not be built (%s)",
                       bezel_status_name(bezel_tree_status(tree)));
    *out = map;
    return BEZEL_OK;
}
