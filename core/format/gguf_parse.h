/* SPDX-License-Identifier: MIT */
/* Cursor of the GGUF parser over a header that is read from the file as far as it is needed. Only for core/format. */
#ifndef BZ_GGUF_PARSE_H
#define BZ_GGUF_PARSE_H

#include "format/gguf.h"

typedef struct bz_gguf_parse {
    bz_gguf *g;
    const bz_gguf_input *input;
    bz_notes *notes;
    bezel_error *err;
    uint64_t pos;      /* next byte, never above the file's size */
    uint64_t capacity; /* of g->header; g->header_size bytes of it are filled */
    uint32_t n_values; /* keys that are read */
    uint64_t n_texts;  /* of the array that the next key is */
} bz_gguf_parse;

/* bz_gguf_open in units of work: begin, then unit until it gives BEZEL_OK instead of BEZEL_MORE. *input must outlive them;
 * after a failure nothing is held. */
void bz_gguf_begin(bz_gguf_parse *p, bz_gguf *out, const bezel_world *w, const bz_gguf_input *input, bz_notes *notes);
bezel_status bz_gguf_unit(bz_gguf_parse *p, bezel_error *err);

/* Makes sure that n bytes from pos on lie in the header. BEZEL_ERR_TRUNCATED when the file has fewer. */
bezel_status bz_gguf_need(bz_gguf_parse *p, uint64_t n, const char *what);
bezel_status bz_gguf_take_u32(bz_gguf_parse *p, uint32_t *out, const char *what);
bezel_status bz_gguf_take_u64(bz_gguf_parse *p, uint64_t *out, const char *what);
/* Length and place of a text of at most `limit` bytes; pos moves behind it. A longer one that the file could hold is
 * `too_long`. */
bezel_status bz_gguf_take_text(bz_gguf_parse *p, uint64_t *out_at, uint64_t *out_size, uint64_t limit,
                               bezel_status too_long, const char *what);
/* "FILE @0xOFFSET: ..." with offset set. */
bezel_status bz_gguf_fail_at(bz_gguf_parse *p, bezel_status status, uint64_t at, const char *format, ...)
    BZ_PRINTF(4, 5);

/* Directory entries, then their order, ranges and overlap (gguf_directory.c). */
bezel_status bz_gguf_parse_tensors(bz_gguf_parse *p);

#endif
