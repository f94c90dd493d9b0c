/* SPDX-License-Identifier: MIT */
/* A world whose allocator counts what is live and can fail one chosen allocation.
 *
 *     fail_world f;
 *     for (fail_world_init(&f, 1); ; fail_world_next(&f)) {
 *         bezel_status st = make(&thing, &f.world, &err);
 *         if (st == BEZEL_OK) break;
 *         ck_assert_int_eq(st, BEZEL_ERR_MEMORY);
 *         ck_assert_uint_eq(f.live_bytes, 0);
 *     }
 */
#ifndef TEST_FAIL_WORLD_H
#define TEST_FAIL_WORLD_H

#include <bezel/base.h>

typedef struct fail_world {
    bezel_world world; /* the system's own but for the allocator */
    size_t fail_at;    /* the allocation that fails, counted from 1; 0 = none */
    size_t calls;      /* allocations and growths so far */
    size_t live_blocks, live_bytes;
} fail_world;

void fail_world_init(fail_world *f, size_t fail_at); /* f must not move afterwards: world.ud points to it */
void fail_world_next(fail_world *f);                 /* counts from 0 again and fails one later */

#endif
