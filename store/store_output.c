/* SPDX-License-Identifier: MIT */
/* See store_output.h. */
#include "store_output.h"

#include "base/status.h"

#include <stdio.h>

#define HOLD ((size_t)64 << 10) /* bytes that are written at once */

static bezel_status output_flush(bz_store_output *out, bezel_error *err)
{
    const bezel_world *w = out->store->world;
    if (out->held.status != BEZEL_OK)
        return bz_fail_memory(err, "store", out->what, out->held.size);
    bezel_status st = out->held.size ? w->file_write(w->ud, out->file, out->written, out->held.data, out->held.size) : BEZEL_OK;
    if (st != BEZEL_OK) {
        bz_fail(err, st, "store", "the %s cannot be written (%s)", out->what, bezel_status_name(st));
        bz_error_hint(err, st, "free some space, or choose another folder");
        return bz_error_place(err, st, "%s", out->path);
    }
    out->written += out->held.size;
    bz_strbuf_reset(&out->held);
    return BEZEL_OK;
}

bezel_status bz_store_output_pass(bz_store_output *out, bezel_error *err)
{
    return out->held.size >= HOLD || out->held.status != BEZEL_OK ? output_flush(out, err) : BEZEL_OK;
}

typedef bezel_status output_body(bz_store_output *out, void *ctx, bezel_error *err);

static bezel_status output_write(bz_store_output *out, const char *part, output_body *body, void *ctx, bezel_error *err)
{
    const bezel_world *w = out->store->world;
    char doing[48];
    bezel_status st = w->file_open(w->ud, &out->file, part, BEZEL_FILE_CREATE);
    if (st != BEZEL_OK) {
        bz_fail(err, st, "store", "the %s cannot be made (%s)", out->what, bezel_status_name(st));
        bz_error_hint(err, st, "is the folder there, and may it be written to?");
        return bz_error_place(err, st, "%s", out->path);
    }
    snprintf(doing, sizeof doing, "read for the %s", out->what);
    st = bz_store_exec(out->store, "BEGIN", doing, err);
    if (st == BEZEL_OK) {
        st = body(out, ctx, err);
        if (st == BEZEL_OK)
            st = output_flush(out, err);
        bz_store_exec(out->store, "ROLLBACK", doing, NULL);
    }
    w->file_close(w->ud, out->file);
    if (st == BEZEL_OK && w->file_rename(w->ud, part, out->path) != BEZEL_OK) {
        st = bz_fail(err, BEZEL_ERR_IO, "store", "cannot give the %s its name %s", out->what, out->path);
        bz_error_hint(err, st, "is there a folder with this name?");
        bz_error_place(err, st, "%s", out->path);
    }
    if (st != BEZEL_OK)
        w->file_remove(w->ud, part);
    return st;
}

bezel_status bz_store_output_make(bezel_store *store, const char *what, const char *path, output_body *body, void *ctx,
                                  bezel_error *err)
{
    const bezel_world *w = store->world;
    bz_store_output out = {.store = store, .what = what, .path = path};
    bz_strbuf part;
    uint64_t tail = 0;
    bezel_status st = BEZEL_OK;
    bz_strbuf_init(&part, w, 0);
    bz_strbuf_init(&out.held, w, 0);
    if (w->random(w->ud, &tail, sizeof tail) != BEZEL_OK)
        st = bz_fail(err, BEZEL_ERR_IO, "store", "the random source of the world failed");
    bz_strbuf_format(&part, "%s.%016llx.part", path, (unsigned long long)tail);
    if (st == BEZEL_OK && part.status != BEZEL_OK)
        st = bz_fail_memory(err, "store", "a name", part.size);
    if (st == BEZEL_OK)
        st = output_write(&out, bz_strbuf_cstr(&part), body, ctx, err);
    bz_strbuf_free(&out.held);
    bz_strbuf_free(&part);
    return st;
}
