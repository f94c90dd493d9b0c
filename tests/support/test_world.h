/* SPDX-License-Identifier: MIT */
/* The system's world with faults that a test chooses: the N-th allocation fails, the N-th file call fails, time stands
 * still, random bytes come from a seed. Safe for several threads. Real files and threads otherwise.
 *
 *     test_world tw;
 *     test_world_init(&tw);
 *     test_world_sweep(&tw, open_once, path, BEZEL_OK);
 */
#ifndef TEST_WORLD_H
#define TEST_WORLD_H

#include <bezel/base.h>

#include "base/rng.h"

#include <stdatomic.h>

typedef struct test_world {
    bezel_world world; /* give this to bezel_engine_options.world or to functions that take a bezel_world */
    bezel_world system;

    /* Allocation: counts calls that ask for memory (not free). */
    atomic_long n_allocations;     /* since the last test_world_arm */
    atomic_long fail_allocation;   /* number of the call that fails, from 1; 0 = none */
    atomic_int fail_forever;       /* the later ones fail too */
    atomic_int n_failed;           /* allocations that were made to fail since the last arm */
    _Atomic int64_t bytes;         /* outstanding */
    _Atomic int64_t blocks;        /* outstanding */
    _Atomic int64_t peak_bytes;

    /* Files: counts open, info, read, write, map, sync, rename, remove, list. */
    atomic_long n_file_calls;
    atomic_long fail_file_call;    /* from 1; 0 = none */
    bezel_status file_status;      /* what it fails with, BEZEL_ERR_IO by default */
    _Atomic int64_t files;         /* open */
    _Atomic int64_t maps;

    atomic_long fail_thread_start; /* number of the thread_start that fails, from 1; 0 = none */
    atomic_long n_thread_starts;

    /* Clock: the system's until is_fake is set. Each look at the fake clock moves it by step_ns. */
    atomic_int is_fake;
    _Atomic int64_t now_ns, step_ns, wall_now_ms;

    bz_rng rng;
    atomic_flag rng_busy; /* two threads never get the same bytes: names of new files come from them */
    bezel_status random_status; /* BEZEL_OK, or what random fails with */
} test_world;

void test_world_init(test_world *tw);
/* Zeroes the counters and lets allocation n fail (0 = none); forever: and all later ones. */
void test_world_arm(test_world *tw, long n, int forever);
void test_world_arm_file(test_world *tw, long n, bezel_status status);
/* Sets the fake clocks and switches to them. */
void test_world_clock(test_world *tw, int64_t now_ns, int64_t wall_ms);
/* 1 when nothing is held: no memory, no file, no mapping. */
int test_world_is_clean(const test_world *tw);

/* One try of a sweep: does everything that is tested with tw, frees what it made, returns the status. */
typedef bezel_status (*test_world_try_fn)(test_world *tw, void *ctx);
/* Runs fn with allocation 1, 2, 3, ... failing until a run needs fewer. Each failing run must return
 * BEZEL_ERR_MEMORY and hold no more than before; the last must return `expected`. Both with single and with lasting
 * failure. Fails the running Check test otherwise. Returns how many allocations a good run makes. */
long test_world_sweep(test_world *tw, test_world_try_fn fn, void *ctx, bezel_status expected);

#endif
