/* SPDX-License-Identifier: MIT */
/* Growing text with a cap. Whatever is held stays NUL-terminated; after a failure the text is what it was before the
 * call that failed. Formats no floating point: base/number.h does, whatever the host's locale. */
#include "base/strbuf.h"

#include "base/alloc.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define BZ_STRBUF_LIMIT ((size_t)1 << 30)
#define BZ_STRBUF_FIRST 64u

void bz_strbuf_init(bz_strbuf *b, const bezel_world *w, size_t limit)
{
    memset(b, 0, sizeof *b);
    b->world = w;
    b->limit = limit == 0 ? BZ_STRBUF_LIMIT : limit;
}

void bz_strbuf_free(bz_strbuf *b)
{
    if (b->data != NULL)
        bz_free(b->world, b->data);
    b->data = NULL;
    b->size = 0;
    b->capacity = 0;
}

void bz_strbuf_reset(bz_strbuf *b)
{
    bz_strbuf_cut(b, 0);
    b->status = BEZEL_OK;
}

/* Room for n more bytes and a NUL. Returns 0 and sets the status when there is none. */
static int strbuf_reserve(bz_strbuf *b, size_t n)
{
    size_t wanted;
    size_t capacity;
    char *data;
    if (b->status != BEZEL_OK)
        return 0;
    if (n > b->limit || b->size > b->limit - n) {
        b->status = BEZEL_ERR_LIMIT;
        return 0;
    }
    if (!bz_size_add(&wanted, b->size + n, 1)) {
        b->status = BEZEL_ERR_LIMIT;
        return 0;
    }
    if (wanted <= b->capacity)
        return 1;
    capacity = b->capacity < BZ_STRBUF_FIRST ? BZ_STRBUF_FIRST : b->capacity;
    while (capacity < wanted)
        capacity = capacity > SIZE_MAX / 2 ? wanted : capacity * 2;
    data = bz_realloc(b->world, b->data, capacity);
    if (data == NULL) {
        b->status = BEZEL_ERR_MEMORY;
        return 0;
    }
    b->data = data;
    b->capacity = capacity;
    return 1;
}

void bz_strbuf_add(bz_strbuf *b, const void *bytes, size_t n)
{
    if (!strbuf_reserve(b, n))
        return;
    if (n > 0)
        memcpy(b->data + b->size, bytes, n);
    b->size += n;
    b->data[b->size] = '\0';
}

void bz_strbuf_text(bz_strbuf *b, const char *text)
{
    bz_strbuf_add(b, text, strlen(text));
}

void bz_strbuf_char(bz_strbuf *b, char c)
{
    bz_strbuf_add(b, &c, 1);
}

void bz_strbuf_format(bz_strbuf *b, const char *format, ...)
{
    va_list arguments;
    int n;
    va_start(arguments, format);
    n = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (n < 0) {
        if (b->status == BEZEL_OK)
            b->status = BEZEL_ERR_LIMIT;
        return;
    }
    if (!strbuf_reserve(b, (size_t)n))
        return;
    va_start(arguments, format);
    vsnprintf(b->data + b->size, (size_t)n + 1, format, arguments);
    va_end(arguments);
    b->size += (size_t)n;
}

void bz_strbuf_cut(bz_strbuf *b, size_t size)
{
    if (b->data == NULL || size > b->size)
        return;
    b->size = size;
    b->data[size] = '\0';
}

void bz_strbuf_erase_front(bz_strbuf *b, size_t n)
{
    if (b->data == NULL)
        return;
    if (n > b->size)
        n = b->size;
    memmove(b->data, b->data + n, b->size - n + 1);
    b->size -= n;
}

const char *bz_strbuf_cstr(const bz_strbuf *b)
{
    return b->data == NULL ? "" : b->data;
}

char *bz_strbuf_take(bz_strbuf *b, size_t *out_size)
{
    char *text;
    if (b->data == NULL)
        bz_strbuf_add(b, "", 0);
    if (b->status != BEZEL_OK)
        return NULL;
    text = b->data;
    if (out_size != NULL)
        *out_size = b->size;
    b->data = NULL;
    b->size = 0;
    b->capacity = 0;
    return text;
}
