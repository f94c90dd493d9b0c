/* SPDX-License-Identifier: MIT */
/* Growing text with a cap. The first failure sticks in `status`, later calls do nothing: one check at the end. */
#ifndef BZ_STRBUF_H
#define BZ_STRBUF_H

#include "base/status.h"

typedef struct bz_strbuf {
    const bezel_world *world;
    char *data; /* NUL-terminated once anything was added, else NULL */
    size_t size;
    size_t capacity;
    size_t limit;        /* most bytes it may hold; more is BEZEL_ERR_LIMIT */
    bezel_status status; /* BEZEL_OK or the first failure */
} bz_strbuf;

void bz_strbuf_init(bz_strbuf *b, const bezel_world *w, size_t limit); /* limit 0 = 1 GiB */
void bz_strbuf_free(bz_strbuf *b);
void bz_strbuf_reset(bz_strbuf *b); /* empty again, memory kept, status cleared */
void bz_strbuf_add(bz_strbuf *b, const void *bytes, size_t n);
void bz_strbuf_text(bz_strbuf *b, const char *text); /* NUL-terminated */
void bz_strbuf_char(bz_strbuf *b, char c);
void bz_strbuf_format(bz_strbuf *b, const char *format, ...) BZ_PRINTF(2, 3);
void bz_strbuf_cut(bz_strbuf *b, size_t size);         /* shortens to size */
void bz_strbuf_erase_front(bz_strbuf *b, size_t n);    /* drops the first n bytes */
const char *bz_strbuf_cstr(const bz_strbuf *b);        /* "" when empty */
/* Hands the text over (free with bz_free) and leaves an empty buffer; NULL when memory is out. */
char *bz_strbuf_take(bz_strbuf *b, size_t *out_size);

#endif
