/* SPDX-License-Identifier: MIT */
/* Purpose: sweep over failing allocations. Shrinking and freeing never fail, as with malloc. Not for several threads. */
#include "support/fail_world.h"

#include <stdlib.h>
#include <string.h>

static void *fail_world_allocate(void *ud, void *ptr, size_t old_size, size_t new_size)
{
    fail_world *f = ud;
    if (!new_size) {
        if (ptr) {
            f->live_blocks--;
            f->live_bytes -= old_size;
        }
        free(ptr);
        return NULL;
    }
    if (new_size > old_size && ++f->calls == f->fail_at)
        return NULL;
    void *p = realloc(ptr, new_size);
    if (!p)
        return NULL;
    f->live_blocks += !ptr;
    f->live_bytes += new_size - (ptr ? old_size : 0);
    return p;
}

void fail_world_init(fail_world *f, size_t fail_at)
{
    memset(f, 0, sizeof *f);
    bezel_world_init(&f->world);
    f->world.ud = f;
    f->world.allocate = fail_world_allocate;
    f->fail_at = fail_at;
}

void fail_world_next(fail_world *f)
{
    f->calls = 0;
    f->fail_at++;
}
