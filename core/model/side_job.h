/* SPDX-License-Identifier: MIT */
/* One piece of work of an open model that a thread of low priority does in the background, once: it makes or checks a side
 * file. Until it is done, and if it fails, the model works without. Does not: know what the work is (head_copy, weight_pack). */
#ifndef BZ_SIDE_JOB_H
#define BZ_SIDE_JOB_H

#include "model/model_impl.h"

#include <stdatomic.h>

typedef struct bz_side_job {
    const bezel_world *world;
    const char *thread_name;
    bezel_status (*run)(void *arg, bezel_error *err); /* gives up with CANCELLED soon after `cancel` was set */
    void *arg;
    bz_mutex *mutex;
    bz_cond *cond; /* state left busy */
    atomic_int state, cancel;
    bezel_thread *thread; /* NULL before start */
    bezel_error error;    /* why, when failed */
} bz_side_job;

/* Starts nothing. A job that was zeroed or failed to be set up may be ended. 0 = no memory. */
int bz_side_job_init(bz_side_job *job, const bezel_world *w, const char *thread_name,
                     bezel_status (*run)(void *arg, bezel_error *err), void *arg);
/* 1 once the work succeeded: what it wrote is seen then. may_start: asks for it. Thread: any. */
int bz_side_job_ready(bz_side_job *job, int may_start);
/* Starts, and waits until it is ready or failed. */
bezel_status bz_side_job_wait(bz_side_job *job, bezel_error *err);
void bz_side_job_end(bz_side_job *job); /* cancels, and stops the thread */

/* Of the model's file, for names of its side files: what it says of itself, and which file it is. */
void bz_side_job_key(uint8_t key[16], const bezel_model *m);
/* folder/<32 hex digits of the key>suffix: a file of another version has the same name and is replaced. NULL = no memory. */
char *bz_side_job_path(const bezel_world *w, const char *folder, const uint8_t key[16], const char *suffix);

#endif
