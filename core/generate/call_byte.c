/* SPDX-License-Identifier: MIT */
/* One byte of the machine (see call_machine.h) where it changes one thread alone, or none: nearly all of those that a walk through
 * the vocabulary tries. What begins, ends or branches is call_machine.c's. */
#include "generate/call_leaf.h"

const char *bz_call_closer(const bz_call_form *f, const bz_call_frame *frame)
{
    return frame->is_list ? "]" : frame->is_call ? f->dialect.args_close : "}";
}

bz_call_frame *bz_call_unique(const bz_call_form *f, bz_call_thread *t)
{
    bz_call_frame *frame = t->depth > 0 ? &t->frames[t->depth - 1] : NULL;
    return frame != NULL && frame->is_list && bz_call_node_at(f, frame->node)->unique ? frame : NULL;
}

int bz_call_feed_inside(bz_call_state *s, const bz_call_form *f, uint8_t byte)
{
    bz_call_thread *t = &s->threads[0];
    int got;
    if (t->leaf == LEAF_LITERAL) {
        if ((uint8_t)t->at.text.bytes[t->at.text.at] != byte)
            return 0;
        if (t->at.text.at + 1 == t->at.text.size)
            return -1;
        t->at.text.at++;
    } else if (t->leaf == LEAF_STRING && (t->at.string.is_key || !t->at.string.is_unique)) {
        if ((got = bz_call_string_read(&t->at.string, f, bz_call_node_at(f, t->node), byte)) != BZ_CALL_READ)
            return got == BZ_CALL_REFUSED ? 0 : -1; /* the last byte changes nothing */
    } else if (t->leaf == LEAF_NUMBER && bz_call_unique(f, t) == NULL) {
        if ((got = bz_call_number_read(&t->at.number, bz_call_node_at(f, t->node), byte)) != BZ_CALL_READ)
            return got == BZ_CALL_REFUSED ? 0 : -1; /* nor does one behind it */
    } else {
        return -1;
    }
    t->hash = bz_call_hash(t->hash, (const char *)&byte, 1);
    return 1;
}

/* 1 when it is clear without a copy that the thread refuses the byte. */
static int call_refuses(const bz_call_thread *t, const bz_call_form *f, uint8_t byte)
{
    const bz_call_dialect *d = &f->dialect;
    const bz_call_leaf_text *text = &t->at.text;
    switch (t->leaf) {
    case LEAF_LITERAL:
        return (uint8_t)text->bytes[text->at] != byte;
    case LEAF_AFTER:
        return byte != (uint8_t)d->sep[0] && byte != (uint8_t)bz_call_closer(f, &t->frames[t->depth - 1])[0];
    case LEAF_NEXT_CALL:
        return byte != (uint8_t)d->list_close[0] && byte != (uint8_t)f->next_open.bytes[0];
    case LEAF_STRING:
        return byte < 0x20 && d->escapes != BZ_CALL_ESCAPES_NONE;
    case LEAF_NUMBER:
        return (byte < '0' || byte > '9') && byte != '.' && byte != '-' && byte != '+' && byte != 'e' &&
               !bz_call_number_complete(&t->at.number, bz_call_node_at(f, t->node));
    default:
        return t->leaf == LEAF_DONE;
    }
}

int bz_call_feed_to(bz_call_state *to, const bz_call_state *from, const bz_call_form *f, uint8_t byte)
{
    uint32_t i = 0;
    while (i < from->n_threads && call_refuses(&from->threads[i], f, byte))
        i++;
    if (i == from->n_threads)
        return 0;
    bz_call_copy(to, from);
    return bz_call_feed(to, f, byte);
}

int bz_call_feed_bytes(bz_call_state *s, const bz_call_form *f, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!bz_call_feed(s, f, (uint8_t)bytes[i]))
            return 0;
    return n > 0 || s->n_threads > 0;
}
