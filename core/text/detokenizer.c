/* SPDX-License-Identifier: MIT */
/* Purpose: ids to bytes, and to whole characters while a model writes them. Invariant of the stream: what it gives out
 * is valid UTF-8 at every point, and a valid character is never changed. An ill-formed sequence becomes one U+FFFD for
 * its longest prefix that could have begun a character (Unicode, chapter 3.9, "maximal subparts"). At most three bytes
 * are held. Not here: stop strings (stop_match.c). */
#include "text/detokenizer.h"

#include "base/utf8.h"

#include <string.h>

static const char detokenizer_space[3] = {'\xE2', '\x96', '\x81'};       /* U+2581 */
static const char detokenizer_replacement[3] = {'\xEF', '\xBF', '\xBD'}; /* U+FFFD */

enum { DETOKENIZER_CALLS = 2 }; /* special: the control tokens of calls, which parsers read */

/* Bytes that an entry stands for, as text with U+2581 still in it; NULL for none. */
static const char *detokenizer_text(const bz_vocab *v, int32_t id, int special, size_t *out_size, char *byte)
{
    size_t size;
    const char *text = bz_vocab_text(v, id, &size);
    if (!text)
        return NULL;
    *out_size = size;
    switch (bz_vocab_type(v, id)) {
    case BZ_TOKEN_NORMAL:
    case BZ_TOKEN_USER_DEFINED:
        return text;
    case BZ_TOKEN_CONTROL:
    case BZ_TOKEN_UNKNOWN:
        return special == 1 || (special == DETOKENIZER_CALLS && bz_vocab_is_call_mark(v, id)) ? text : NULL;
    case BZ_TOKEN_BYTE:
        if (!bz_vocab_is_byte(v, id, (uint8_t *)byte))
            return NULL;
        *out_size = 1;
        return byte;
    default:
        return NULL;
    }
}

/* Next run of bytes of an entry's text: one space for a U+2581, else all up to the next one. 0 at the end. */
static size_t detokenizer_run(const char **out, const char *text, size_t size, size_t *at)
{
    size_t begin = *at, i = begin;
    while (i < size) {
        const char *lead = memchr(text + i, detokenizer_space[0], size - i);
        i = lead ? (size_t)(lead - text) : size;
        if (i + 3 <= size && !memcmp(text + i, detokenizer_space, 3))
            break;
        i += i < size;
    }
    if (i > begin || begin >= size) {
        *out = text + begin;
        *at = i;
        return i - begin;
    }
    *out = " ";
    *at = begin + 3;
    return 1;
}

void bz_detokenize(bz_strbuf *out, const bz_vocab *v, int32_t id, int special)
{
    char byte;
    const char *run;
    size_t size = 0, at = 0, n;
    const char *text = detokenizer_text(v, id, special, &size, &byte);
    if (text == &byte)
        bz_strbuf_add(out, text, 1);
    else if (text)
        while ((n = detokenizer_run(&run, text, size, &at)) > 0)
            bz_strbuf_add(out, run, n);
}

/* --- Stream -------------------------------------------------------------------------------- */

void bz_detokenizer_init(bz_detokenizer *d, const bz_vocab *v)
{
    memset(d, 0, sizeof *d);
    d->vocab = v;
}

static void detokenizer_feed_byte(bz_detokenizer *d, bz_strbuf *out, char c)
{
    uint32_t cp;
    d->held[d->n_held++] = c;
    if (bz_utf8_decode(&cp, d->held, d->n_held)) {
        bz_strbuf_add(out, d->held, d->n_held);
        d->n_held = 0;
    } else if (bz_utf8_incomplete_tail(d->held, d->n_held) != d->n_held) {
        size_t n = d->n_held;
        d->n_held = 0;
        bz_strbuf_add(out, detokenizer_replacement, 3);
        if (n > 1) /* what stood before c has ended; c may begin something of its own */
            detokenizer_feed_byte(d, out, c);
    }
}

static void detokenizer_feed(bz_detokenizer *d, bz_strbuf *out, const char *bytes, size_t n)
{
    if (!d->n_held && bz_utf8_valid(bytes, n)) {
        bz_strbuf_add(out, bytes, n);
        return;
    }
    for (size_t i = 0; i < n; i++)
        detokenizer_feed_byte(d, out, bytes[i]);
}

void bz_detokenizer_push(bz_detokenizer *d, bz_strbuf *out, int32_t id)
{
    char byte;
    const char *run;
    size_t size = 0, at = 0, n;
    const char *text = detokenizer_text(d->vocab, id, DETOKENIZER_CALLS, &size, &byte);
    if (text == &byte)
        detokenizer_feed(d, out, text, 1);
    else if (text)
        while ((n = detokenizer_run(&run, text, size, &at)) > 0)
            detokenizer_feed(d, out, run, n);
}

void bz_detokenizer_finish(bz_detokenizer *d, bz_strbuf *out)
{
    if (d->n_held)
        bz_strbuf_add(out, detokenizer_replacement, 3);
    d->n_held = 0;
}
