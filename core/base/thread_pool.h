/* SPDX-License-Identifier: MIT */
/* Row ranges spread over workers, join. An idle pool uses no CPU. */
#ifndef BZ_THREAD_POOL_H
#define BZ_THREAD_POOL_H

#include <bezel/base.h>

typedef struct bz_thread_pool bz_thread_pool;
/* Rows begin <= r < end; worker 0..n_threads-1 tells scratch apart. */
typedef void (*bz_rows_fn)(void *ctx, size_t begin, size_t end, unsigned worker);

/* n_threads counts the caller, so 1 starts none. Workers start at the first run that needs them. */
bezel_status bz_thread_pool_new(bz_thread_pool **out, const bezel_world *w, unsigned n_threads, bezel_error *err);
/* Before the first run: worker i stays on processor cpus[i % n], but for worker 0, the caller, which is never moved. */
void bz_thread_pool_place(bz_thread_pool *pool, const unsigned *cpus, size_t n);
void bz_thread_pool_free(bz_thread_pool *pool);
unsigned bz_thread_pool_size(const bz_thread_pool *pool);
/* Calls fn over [0, n_rows) in ranges that are multiples of `grain` (but for the last) and returns when all are done.
 * Several threads may call at once: one gets the workers, the others run their rows alone. */
void bz_thread_pool_run(bz_thread_pool *pool, size_t n_rows, size_t grain, bz_rows_fn fn, void *ctx);

#endif
