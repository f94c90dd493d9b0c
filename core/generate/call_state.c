/* SPDX-License-Identifier: MIT */
/* Questions to a state of the machine (see call_machine.h): may it end, what has to come, is it inside of a string. */
#include "generate/call_leaf.h"

#include <string.h>

static int call_thread_can_end(const bz_call_thread *t, const bz_call_form *f)
{
    if (t->leaf == LEAF_DONE)
        return 1;
    if (t->leaf == LEAF_NEXT_CALL)
        return !t->in_list;
    if (t->depth > 0)
        return 0;
    if (t->leaf == LEAF_NUMBER)
        return bz_call_number_complete(&t->at.number, bz_call_node_at(f, t->node));
    return t->leaf == LEAF_ENUM && t->at.text.at > 0 &&
           f->texts[bz_call_node_at(f, t->node)->first_text + t->at.text.low].size == t->at.text.at;
}

int bz_call_can_end(const bz_call_state *s, const bz_call_form *f)
{
    for (uint32_t i = 0; i < s->n_threads; i++)
        if (call_thread_can_end(&s->threads[i], f))
            return 1;
    return 0;
}

/* The least byte from `first` on that may come, 256 for none. */
static uint32_t call_next_byte(const bz_call_state *s, const bz_call_form *f, uint32_t first)
{
    for (; first < 256; first++) {
        bz_call_state next;
        bz_call_copy(&next, s);
        if (bz_call_feed(&next, f, (uint8_t)first))
            break;
    }
    return first;
}

int bz_call_must_end(const bz_call_state *s, const bz_call_form *f)
{
    return bz_call_can_end(s, f) && call_next_byte(s, f, 0) == 256;
}

int bz_call_between(const bz_call_state *s, const bz_call_form *f)
{
    const bz_call_thread *t = &s->threads[0];
    const size_t sep = strlen(f->dialect.call_sep);
    return s->n_threads == 1 && t->leaf == LEAF_LITERAL && t->n_calls > 0 && !t->in_list && sep > 0 && t->at.text.at == sep &&
           t->at.text.bytes == f->next_open.bytes;
}

int bz_call_forced_byte(const bz_call_state *s, const bz_call_form *f)
{
    if (s->n_threads == 1 && s->threads[0].leaf == LEAF_LITERAL)
        return (uint8_t)s->threads[0].at.text.bytes[s->threads[0].at.text.at];
    for (uint32_t i = 0; i < s->n_threads; i++)
        if (s->threads[i].leaf == LEAF_STRING)
            return -1;
    if (bz_call_can_end(s, f))
        return -1;
    const uint32_t byte = call_next_byte(s, f, 0);
    return byte < 256 && call_next_byte(s, f, byte + 1) == 256 ? (int)byte : -1;
}

/* A string of which bytes are read one character after the other, up to the most. */
static int call_read_site(bz_call_site *out, const bz_call_thread *t, const bz_call_form *f)
{
    const bz_call_leaf_string *l = &t->at.string;
    if (t->leaf != LEAF_STRING || l->need > 0 || l->escape > 0 || (l->is_key && f->dialect.member_open[0] == '\0'))
        return 0;
    const bz_call_node *node = bz_call_node_at(f, t->node);
    out->count = l->count;
    out->least = l->is_key ? 1 : node->min_count;
    out->most = l->is_key ? BZ_CALL_OPEN_KEYS : node->max_count;
    out->pattern = node->pattern != BZ_CALL_NONE ? f->patterns[node->pattern] : NULL;
    out->state = &l->pattern;
    return 1;
}

bz_call_string_kind bz_call_in_string(bz_call_site *out, const bz_call_state *s, const bz_call_form *f, uint32_t longest)
{
    uint32_t n_plain = 0;
    bz_call_site site, best = {0, 0, 0, NULL, NULL};
    for (uint32_t i = 0; i < s->n_threads; i++) {
        const bz_call_thread *t = &s->threads[i];
        if (!call_read_site(&site, t, f))
            return BZ_CALL_STRING_NONE;
        if (site.pattern != NULL && s->n_threads == 1) {
            *out = site;
            return BZ_CALL_STRING_PATTERN;
        }
        /* an item of a list that takes none twice is refused where it could only end */
        if (site.pattern != NULL || (t->at.string.is_unique && !t->at.string.is_key && site.most - site.count <= longest))
            continue;
        if (n_plain++ == 0 || site.most - site.count > best.most - best.count)
            best = site;
    }
    *out = best;
    return n_plain > 0 && (n_plain == s->n_threads || best.most - best.count >= longest) ? BZ_CALL_STRING_PLAIN
                                                                                           : BZ_CALL_STRING_NONE;
}

int bz_call_in_name(const bz_call_state *s, const bz_call_form *f, const bz_call_text **out_names, uint32_t *out_n, uint32_t *out_at)
{
    const bz_call_thread *t = &s->threads[0];
    if (s->n_threads != 1 || t->leaf != LEAF_NAME || t->at.text.high - t->at.text.low < 2)
        return 0;
    *out_names = f->names + t->at.text.low;
    *out_n = t->at.text.high - t->at.text.low;
    *out_at = t->at.text.at;
    return 1;
}

/* Feeds the closing mark of a string, or what else ends something, or the least thing that goes on; 0: nothing does. */
static size_t call_close_step(char out[16], bz_call_state *s, const bz_call_form *f)
{
    static const char closers[] = {(char)BZ_CALL_MARK_CLOSE, ')', ']', '}'};
    const int in_string = s->threads[0].leaf == LEAF_STRING;
    if (s->n_threads == 1 && s->threads[0].leaf == LEAF_LITERAL) {
        out[0] = s->threads[0].at.text.bytes[s->threads[0].at.text.at];
        return bz_call_feed(s, f, (uint8_t)out[0]) ? 1 : 0;
    }
    const char *close = in_string && s->threads[0].at.string.is_key ? f->dialect.member_close : f->dialect.string_close;
    const size_t n = in_string ? strlen(close) : 1;
    for (size_t i = 0; n < 16 && i < (in_string ? 1 : sizeof closers); i++) {
        bz_call_state next;
        const char *text = in_string ? close : &closers[i];
        bz_call_copy(&next, s);
        if (!bz_call_feed_bytes(&next, f, text, n))
            continue;
        bz_call_copy(s, &next);
        memcpy(out, text, n);
        return n;
    }
    uint32_t byte = call_next_byte(s, f, '0'); /* digits before signs */
    byte = byte < 256 ? byte : call_next_byte(s, f, 0);
    if (byte > 255 || !bz_call_feed(s, f, (uint8_t)byte))
        return 0;
    out[0] = (char)byte;
    return 1;
}

size_t bz_call_closing(char *out, size_t capacity, const bz_call_state *s, const bz_call_form *f)
{
    bz_call_state state;
    char step[16];
    size_t size = 0, n = 1;
    bz_call_copy(&state, s);
    for (; n > 0 && !bz_call_can_end(&state, f); size += n) {
        n = call_close_step(step, &state, f);
        if (size + n > capacity)
            break;
        memcpy(out + size, step, n);
    }
    return size;
}
