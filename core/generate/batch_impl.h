/* SPDX-License-Identifier: MIT */
/* How a generation's job reaches the batch it is in. */
#ifndef BZ_BATCH_IMPL_H
#define BZ_BATCH_IMPL_H

#include "generate/scheduler.h"

/* One unit of the generation's batch; 0 when it is in none. */
int bz_batch_unit(bz_generation *g);
/* Out of its batch, which gives up the pass in progress; nothing when it is in none. Waits for the unit of another thread. */
void bz_batch_leave(bz_generation *g);

#endif
