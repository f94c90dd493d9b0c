/* SPDX-License-Identifier: MIT */
/* See call_evidence.h. The value that is being written is compared with every place of the text where one may stand: tokens
 * that keep to such a place weigh more. A place that a value was taken from is used up. What a value is, is told by its
 * look: whole words, all of a name in capitals or of what stands in quotes, numbers also in words or as a percentage. */
#include "generate/call_evidence.h"

#include "base/alloc.h"
#include "base/status.h"
#include "generate/call_leaf.h"
#include "generate/evidence_text.h"

#include <string.h>

enum { EVIDENCE_VALUE = 96, EVIDENCE_DEPTH = 64, EVIDENCE_TOKENS = 4096 };

typedef struct evidence_value { /* being written, or the last one */
    uint8_t kind;               /* 0, LEAF_STRING, LEAF_NUMBER, LEAF_ENUM */
    uint8_t is_lost;            /* longer than what is compared */
    uint8_t is_number;          /* the last one was */
    uint32_t node, size;
    uint32_t end;  /* behind the last one in the text; 0 = it does not stand there */
    uint32_t next; /* where the text goes on with the next item of a list; 0 = anywhere */
    char bytes[EVIDENCE_VALUE];
} evidence_value;

struct bz_call_evidence {
    const bezel_world *world;
    const bz_call_form *form;
    bz_evidence_text source;
    evidence_value value;
    float weight;
    bz_call_state *states;  /* [EVIDENCE_DEPTH] scratch of a walk */
    evidence_value *values; /* [EVIDENCE_DEPTH] */
    bz_token_set set;
    size_t n_words; /* of its bits */
};

/* Nats at weight 1. Chosen on one half of BFCL's entries, read on the other (docs/calls.md). */
#define WEIGHT_COPY 3.0F   /* of tokens that keep to a place of the text */
#define WEIGHT_NEAR 1.5F   /* more of it where the parameter is named beside the place */
#define WEIGHT_FIRST 0.5F  /* more of it for the first place that is left */
#define WEIGHT_OPTION 3.0F /* for or against an optional parameter; half of it where that is a text */
#define WEIGHT_LIST 4.0F   /* of the end of a list or one more item, whichever the text has */
#define WEIGHT_EMPTY 6.0F  /* against an empty list or object */
#define WEIGHT_TRUE 2.0F   /* of a truth that the text names */
#define WEIGHT_MEMBER 3.0F /* of a member of an enum that the text names */
#define WEIGHT_NEXT 5.0F   /* of one more call of the only function where the text lists more values for it */
#define WEIGHT_DONE 8.0F   /* against it where it does not */

/* Which places stand beside the name of this parameter, which beside that of another. */
static void evidence_look_near(bz_call_evidence *e, const bz_call_node *node, const bz_call_property *own)
{
    for (uint32_t p = 0; p < e->source.size; p++) {
        if (!(e->source.flags[p] & TEXT_STARTS))
            continue;
        const int digit = bz_evidence_is_digit(e->source.text[p]) || e->source.flags[p] & TEXT_NUMBER;
        const uint32_t begin = bz_evidence_back(&e->source, p, digit ? 3 : 1);
        const uint32_t end = digit ? bz_evidence_ahead(&e->source, bz_evidence_ahead(&e->source, p)) : p;
        int near = bz_evidence_has_name(&e->source, &own->key, begin, end, 2), far = 0;
        for (uint32_t i = 0; i < node->count && !near && !far; i++) {
            const bz_call_property *other = &e->form->properties[node->first + i];
            far = other != own && bz_evidence_has_name(&e->source, &other->key, begin, end, 2);
        }
        e->source.flags[p] =
            (uint8_t)((e->source.flags[p] & ~(TEXT_NEAR | TEXT_FAR)) | (near ? TEXT_NEAR : 0) | (far ? TEXT_FAR : 0));
    }
}

/* ---- values ----------------------------------------------------------------------------------------------------------- */

/* How much speaks for a value at a place, 0 = it may not be taken from there. */
static float place_weight(const bz_call_evidence *e, uint32_t p, uint32_t next, uint32_t first)
{
    const uint8_t flags = e->source.flags[p];
    if (next > 0)
        return p == next ? (WEIGHT_COPY + WEIGHT_NEAR) * e->weight : 0.0F;
    const float w = flags & TEXT_FAR ? 0.0F : flags & TEXT_STRONG ? 1.0F : 0.7F;
    return (w * WEIGHT_COPY + (flags & TEXT_NEAR ? WEIGHT_NEAR : 0.0F) +
            (p == first && !(flags & TEXT_FAR) ? WEIGHT_FIRST : 0.0F)) *
           e->weight;
}

/* Less speaks for a part of a word, for what goes on where a value may end, and for other letters. */
static float string_share(const bz_call_evidence *e, const char *bytes, uint32_t n, uint32_t p)
{
    const int in_word = n > 0 && p + n < e->source.size && bz_evidence_is_letter(e->source.text[p + n - 1]) &&
                        bz_evidence_is_letter(e->source.text[p + n]);
    float share = in_word ? 0.8F : 1.0F;
    for (uint32_t i = 1; i < n; i++)
        if (e->source.flags[p + i] & TEXT_ENDS && share > (e->source.text[p + i] == ' ' ? 0.9F : 0.7F))
            share = e->source.text[p + i] == ' ' ? 0.9F : 0.7F;
    return memcmp(bytes, e->source.given + p, n) == 0 ? share : share * 0.9F;
}

/* The best place of a text that begins like this, or is this as a whole; 0 when there is none. */
static float string_weight(const bz_call_evidence *e, const char *bytes, uint32_t n, int is_whole, uint32_t next,
                           uint32_t *out_begin)
{
    const bz_evidence_text *t = &e->source;
    const uint8_t mask = TEXT_STARTS | TEXT_STRONG | TEXT_USED | TEXT_FAR;
    float best = 0.0F;
    uint32_t first = 0;
    while (first < t->size &&
           ((t->flags[first] & mask) != (TEXT_STARTS | TEXT_STRONG) || bz_evidence_is_digit(t->text[first])))
        first++;
    for (uint32_t p = 0; p + n <= t->size; p++) {
        uint32_t i = 0;
        if (!(t->flags[p] & TEXT_STARTS) || (t->flags[p] & TEXT_USED && p != next))
            continue;
        while (i < n && bz_evidence_small(bytes[i]) == t->text[p + i])
            i++;
        if (i < n || (p != next && bz_evidence_is_used(t, p, p + n)) || (t->quote_end[p] != 0 && p + n > t->quote_end[p]))
            continue;
        if (is_whole && (n == 0 || (t->quote_end[p] != 0 ? p + n != t->quote_end[p] : !(t->flags[p + n] & TEXT_ENDS))))
            continue;
        const float w = place_weight(e, p, next, first) * string_share(e, bytes, n, p);
        if (w > best) {
            best = w;
            *out_begin = p;
        }
    }
    return best;
}

/* A percentage is meant as its fraction where a number may be one, unless it would be out of range. */
static int number_is_for(const bz_evidence_number *a, const bz_call_node *node)
{
    const int takes_fraction = node->kind == BZ_SCHEMA_NUMBER;
    if (a->is_fraction)
        return takes_fraction;
    return !(a->is_percent && takes_fraction) && (node->kind != BZ_SCHEMA_INTEGER || memchr(a->text, '.', a->size) == NULL);
}

static float number_weight(const bz_call_evidence *e, const evidence_value *v, int is_whole, const bz_evidence_number **out)
{
    float best = 0.0F;
    uint32_t first = UINT32_MAX;
    for (uint32_t i = 0; i < e->source.n_numbers && first == UINT32_MAX; i++)
        if (!bz_evidence_is_used(&e->source, e->source.numbers[i].begin, e->source.numbers[i].end) &&
            !(e->source.flags[e->source.numbers[i].begin] & TEXT_FAR))
            first = e->source.numbers[i].begin;
    for (uint32_t i = 0; i < e->source.n_numbers; i++) {
        const bz_evidence_number *a = &e->source.numbers[i];
        uint32_t n = v->size;
        if (!number_is_for(a, bz_call_node_at(e->form, v->node)) ||
            (a->begin != v->next && bz_evidence_is_used(&e->source, a->begin, a->end)))
            continue;
        if (n > a->size && n <= a->size + 2 && memchr(a->text, '.', a->size) == NULL && v->bytes[a->size] == '.' &&
            (n == a->size + 1 || v->bytes[a->size + 1] == '0'))
            n = a->size; /* 5.0 is 5 */
        if (n > a->size || memcmp(v->bytes, a->text, n) != 0 || (is_whole && n != a->size))
            continue;
        const uint32_t p = a->begin;
        const float w = place_weight(e, p, v->next, first);
        if (w > best) {
            best = w;
            *out = a;
        }
    }
    return best;
}

static float value_weight(const bz_call_evidence *e, const evidence_value *v, int is_whole)
{
    uint32_t begin;
    const bz_evidence_number *number;
    if (v->is_lost)
        return 0.0F;
    if (v->kind == LEAF_STRING)
        return string_weight(e, v->bytes, v->size, is_whole, v->next, &begin);
    return v->kind == LEAF_NUMBER ? number_weight(e, v, is_whole, &number) : 0.0F;
}

/* A member [low, high) of the enum stands in the text, not used up: where. */
static int enum_is_in(const bz_call_evidence *e, const bz_call_node *node, uint32_t low, uint32_t high, uint32_t *out_begin,
                      uint32_t *out_end)
{
    for (; low < high; low++) {
        const bz_call_text *member = &e->form->texts[node->first_text + low];
        uint32_t begin = 0, end = member->size;
        while (begin < end && !bz_evidence_is_letter(member->bytes[begin]))
            begin++;
        while (end > begin && !bz_evidence_is_letter(member->bytes[end - 1]))
            end--;
        const uint32_t n = end - begin;
        for (uint32_t p = 0; n > 0 && p + n <= e->source.size; p++) {
            uint32_t i = 0;
            while (i < n && (bz_evidence_small(member->bytes[begin + i]) == e->source.text[p + i] ||
                             (member->bytes[begin + i] == '_' && e->source.text[p + i] == ' ')))
                i++;
            if (i == n && bz_evidence_begins_word(&e->source, p) && !(e->source.flags[p] & TEXT_USED) &&
                (n > 3 || p + n == e->source.size || !bz_evidence_is_letter(e->source.text[p + n]))) {
                *out_begin = p;
                *out_end = p + n;
                return 1;
            }
        }
    }
    return 0;
}

static int enum_has_any(const bz_call_evidence *e, const bz_call_node *node, uint32_t low, uint32_t high)
{
    uint32_t begin, end;
    return enum_is_in(e, node, low, high, &begin, &end);
}

/* The member that is written like this, but for its last byte when no other begins so. */
static uint32_t enum_member(const bz_call_evidence *e, const bz_call_node *node, const char *bytes, uint32_t n)
{
    const bz_call_text *members = e->form->texts + node->first_text;
    uint32_t i = 0;
    while (i < node->n_texts && (members[i].size < n || members[i].size > n + 1 || memcmp(members[i].bytes, bytes, n) != 0))
        i++;
    return i;
}

/* The value is over: where it stands in the text. */
static uint32_t value_place(const bz_call_evidence *e, const evidence_value *v, uint32_t *out_end)
{
    uint32_t begin = 0;
    const bz_evidence_number *number = NULL;
    *out_end = 0;
    if (!v->is_lost && v->kind == LEAF_STRING && string_weight(e, v->bytes, v->size, 1, v->next, &begin) > 0.0F)
        *out_end = begin + v->size;
    else if (!v->is_lost && v->kind == LEAF_NUMBER && number_weight(e, v, 1, &number) > 0.0F) {
        begin = number->begin;
        *out_end = number->end;
    } else if (!v->is_lost && v->kind == LEAF_ENUM) {
        const bz_call_node *node = bz_call_node_at(e->form, v->node);
        const uint32_t i = enum_member(e, node, v->bytes, v->size);
        if (i < node->n_texts && !enum_is_in(e, node, i, i + 1, &begin, out_end))
            *out_end = 0;
    }
    return begin;
}

static int list_goes_on(const bz_call_evidence *e, const evidence_value *v, uint32_t *out_next);

static uint8_t value_kind(const bz_call_state *s)
{
    const bz_call_thread *t = &s->threads[0];
    if (s->n_threads != 1)
        return 0;
    if (t->leaf == LEAF_STRING)
        return t->at.string.is_key ? 0 : LEAF_STRING;
    return t->leaf == LEAF_NUMBER || t->leaf == LEAF_ENUM ? t->leaf : 0;
}

/* Goes on with a byte that led from one state to another. */
static void value_step(evidence_value *v, const bz_call_evidence *e, const bz_call_state *from, const bz_call_state *to,
                       uint8_t byte)
{
    const uint8_t kind = value_kind(to);
    uint32_t end = v->end;
    if (v->kind != 0 && (kind != v->kind || from->threads[0].leaf != to->threads[0].leaf)) {
        (void)value_place(e, v, &end);
        v->is_number = v->kind == LEAF_NUMBER;
        v->kind = 0;
        v->end = end;
    }
    if (kind == 0)
        return;
    if (v->kind == 0) {
        const bz_call_thread *t = &to->threads[0];
        const bz_call_frame *frame = t->depth > 0 ? &t->frames[t->depth - 1] : NULL;
        const evidence_value last = *v;
        *v = (evidence_value){.kind = kind, .node = t->node};
        if (frame != NULL && frame->is_list && frame->count > 0)
            (void)list_goes_on(e, &last, &v->next);
        if (kind == LEAF_STRING)
            return; /* the byte opened it */
    }
    if (v->size < EVIDENCE_VALUE)
        v->bytes[v->size++] = (char)byte;
    else
        v->is_lost = 1;
}

/* ---- following -------------------------------------------------------------------------------------------------------- */

/* A key is whole with this byte: which. */
static void evidence_take_key(bz_call_evidence *e, const bz_call_state *from, const bz_call_state *to)
{
    const bz_call_thread *t = &to->threads[0];
    const bz_call_node *node = t->depth > 0 ? bz_call_node_at(e->form, t->frames[t->depth - 1].node) : NULL;
    if (from->threads[0].leaf != LEAF_KEY || t->leaf != LEAF_VALUE || node == NULL)
        return;
    const uint64_t got = t->frames[t->depth - 1].used & ~from->threads[0].frames[t->depth - 1].used;
    for (uint32_t i = 0; i < node->count; i++)
        if (got >> i & 1)
            evidence_look_near(e, node, &e->form->properties[node->first + i]);
}

void bz_call_evidence_take(bz_call_evidence *e, const bz_call_state *from, const uint8_t *bytes, size_t size)
{
    bz_call_state *s = &e->states[0], *next = &e->states[1];
    bz_call_copy(s, from);
    for (size_t i = 0; i < size; i++) {
        const evidence_value before = e->value;
        uint32_t end = 0, begin;
        bz_call_copy(next, s);
        if (!bz_call_feed(next, e->form, bytes[i]))
            return;
        value_step(&e->value, e, s, next, bytes[i]);
        if (before.kind != 0 && (e->value.kind != before.kind || e->value.size < before.size)) {
            begin = value_place(e, &before, &end);
            bz_evidence_use(&e->source, begin, end);
        }
        evidence_take_key(e, s, next);
        bz_call_copy(s, next);
    }
}

/* ---- weighing --------------------------------------------------------------------------------------------------------- */

/* Behind an item that ends at `end`: does the text go on with another? */
static int list_goes_on(const bz_call_evidence *e, const evidence_value *v, uint32_t *out_next)
{
    uint32_t p = v->end;
    int is_separated = 0;
    *out_next = 0;
    if (p == 0)
        return 0;
    for (; p < e->source.size; p++) {
        if (strchr(",;&", e->source.text[p]) != NULL)
            is_separated = 1;
        else if (bz_evidence_is_word(&e->source, p, "and") || bz_evidence_is_word(&e->source, p, "or")) {
            is_separated = 1;
            p += e->source.text[p] == 'a' ? 2 : 1;
        } else if (strchr("'\") $-", e->source.text[p]) == NULL)
            break;
    }
    if (v->end < e->source.size && (e->source.text[v->end] == '\'' || e->source.text[v->end] == '"') &&
        e->source.text[v->end + 1] != 's' && e->source.quote_end[p] == 0)
        return 0; /* those before stood in quotes */
    if (!is_separated || p >= e->source.size || (v->is_number && !bz_evidence_is_digit(e->source.text[p])))
        return 0;
    *out_next = p;
    return 1;
}

/* 1: the text speaks of an optional parameter, -1: it has nothing for it. */
static float option_weight(const bz_call_evidence *e, const bz_call_property *p)
{
    const bz_call_node *node = bz_call_node_at(e->form, p->node);
    const evidence_value none = {.kind = LEAF_NUMBER, .node = p->node};
    const bz_evidence_number *number;
    if (bz_evidence_has_name(&e->source, &p->key, 0, e->source.size, 4))
        return 1.0F;
    if (node->n_texts > 0)
        return enum_has_any(e, node, 0, node->n_texts) ? 1.0F : -1.0F;
    if (node->kind == BZ_SCHEMA_INTEGER || node->kind == BZ_SCHEMA_NUMBER)
        return number_weight(e, &none, 0, &number) > 0.0F ? 0.0F : -1.0F;
    return node->kind == BZ_SCHEMA_BOOLEAN ? -1.0F : -0.5F;
}

/* Of the keys the best. */
static float keys_weight(const bz_call_evidence *e, const bz_call_thread *t, uint64_t keys)
{
    const bz_call_node *node = bz_call_node_at(e->form, t->frames[t->depth - 1].node);
    float best = -1.0F;
    for (uint32_t i = 0; i < node->count; i++) {
        const bz_call_property *p = &e->form->properties[node->first + i];
        if (!(keys >> i & 1))
            continue;
        const float w = p->required ? 0.0F : option_weight(e, p);
        best = w > best ? w : best;
    }
    return best * WEIGHT_OPTION * e->weight;
}

/* Of one more argument behind the one that ends here. */
static float more_weight(const bz_call_evidence *e, const bz_call_state *s)
{
    bz_call_state t;
    const char *sep = e->form->dialect.sep;
    bz_call_copy(&t, s);
    if (!bz_call_feed_bytes(&t, e->form, sep, strlen(sep)) || t.n_threads != 1 || t.threads[0].leaf != LEAF_KEY)
        return 0.0F;
    return keys_weight(e, &t.threads[0], t.threads[0].at.text.keys);
}

/* Where something ends or goes on. */
static float end_weight(const bz_call_evidence *e, const bz_call_state *from, const bz_call_state *to, uint8_t byte,
                        const evidence_value *before, const evidence_value *after)
{
    const bz_call_thread *a = &from->threads[0], *b = &to->threads[0];
    const int is_behind = a->leaf == LEAF_AFTER || before->kind == LEAF_NUMBER || before->kind == LEAF_ENUM;
    if (a->depth == 0 || after->kind != 0)
        return 0.0F;
    const bz_call_frame *frame = &a->frames[a->depth - 1];
    const int closes = b->depth < a->depth;
    uint32_t next;
    if (!frame->is_call && a->leaf == LEAF_FIRST)
        return closes ? -WEIGHT_EMPTY * e->weight : 0.0F;
    if (before->kind == LEAF_NUMBER && value_weight(e, before, 1) <= 0.0F && value_weight(e, before, 0) > 0.0F)
        return 0.0F; /* a number of the text, but not all of it */
    if (frame->is_list && is_behind)
        return closes != list_goes_on(e, after, &next) ? WEIGHT_LIST * e->weight : 0.0F;
    if (frame->is_call && a->leaf == LEAF_FIRST && b->leaf == LEAF_KEY)
        return keys_weight(e, b, b->at.text.keys);
    if (frame->is_call && is_behind && byte == (uint8_t)e->form->dialect.sep[0])
        return more_weight(e, from);
    return 0.0F;
}

/* Where one of some texts is chosen. */
static float choice_weight(const bz_call_evidence *e, const bz_call_state *from, const bz_call_state *to, uint8_t byte)
{
    const bz_call_thread *a = &from->threads[0], *b = &to->threads[0];
    if (a->leaf == LEAF_NEXT_CALL && byte == (uint8_t)e->form->next_open.bytes[0] && b->leaf == LEAF_LITERAL &&
        b->then == LEAF_BEGIN_NAME)
        return bz_call_evidence_next(e);
    if (a->leaf == LEAF_KEY && b->leaf == LEAF_KEY && a->at.text.keys != b->at.text.keys)
        return keys_weight(e, b, b->at.text.keys) - keys_weight(e, a, a->at.text.keys);
    if (b->leaf == LEAF_ENUM) {
        const bz_call_node *node = bz_call_node_at(e->form, b->node);
        const int is_on = a->leaf == LEAF_ENUM;
        const uint32_t low = is_on ? a->at.text.low : 0, high = is_on ? a->at.text.high : node->n_texts;
        if (low == b->at.text.low && high == b->at.text.high)
            return 0.0F;
        return (float)(enum_has_any(e, node, b->at.text.low, b->at.text.high) - enum_has_any(e, node, low, high)) *
               WEIGHT_MEMBER * e->weight;
    }
    if (a->leaf == LEAF_VALUE && a->depth > 0 && bz_call_node_at(e->form, a->node)->kind == BZ_SCHEMA_BOOLEAN &&
        bz_evidence_small((char)byte) == 't') {
        const bz_call_node *node = bz_call_node_at(e->form, a->frames[a->depth - 1].node);
        for (uint32_t i = 0; i < node->count && !a->frames[a->depth - 1].is_list; i++) {
            const bz_call_property *p = &e->form->properties[node->first + i];
            if (p->node == a->node && a->frames[a->depth - 1].used >> i & 1 &&
                bz_evidence_has_name(&e->source, &p->key, 0, e->source.size, 4))
                return WEIGHT_TRUE * e->weight;
        }
    }
    return 0.0F;
}

float bz_call_evidence_weigh(bz_call_evidence *e, const bz_call_state *s, const uint8_t *bytes, size_t size)
{
    bz_call_state *from = &e->states[0], *to = &e->states[1];
    evidence_value v = e->value;
    float sum = 0.0F, copy = 0.0F;
    bz_call_copy(from, s);
    for (size_t i = 0; i < size; i++) {
        const evidence_value before = v;
        bz_call_copy(to, from);
        if (!bz_call_feed(to, e->form, bytes[i]))
            break;
        value_step(&v, e, from, to, bytes[i]);
        if (from->n_threads == 1 && to->n_threads == 1) {
            if (v.kind != 0 && v.size > 0)
                copy = value_weight(e, &v, 0);
            else if (before.kind != 0 && v.kind == 0)
                copy = value_weight(e, &before, 1);
            sum += end_weight(e, from, to, bytes[i], &before, &v) + choice_weight(e, from, to, bytes[i]);
        }
        bz_call_copy(from, to);
    }
    return sum + copy;
}

/* Only tokens that keep to a place: what else they may do counts little in a text. */
static int evidence_walk(void *ud, size_t depth, uint8_t byte)
{
    bz_call_evidence *e = ud;
    if (depth + 1 >= EVIDENCE_DEPTH || !bz_call_feed_to(&e->states[depth + 1], &e->states[depth], e->form, byte))
        return 0;
    const evidence_value *before = &e->values[depth];
    evidence_value *v = &e->values[depth + 1];
    *v = *before;
    value_step(v, e, &e->states[depth], &e->states[depth + 1], byte);
    if (v->kind == LEAF_STRING || v->kind == LEAF_NUMBER)
        return v->size == 0 || value_weight(e, v, 0) > 0.0F;
    return before->kind == 0 || value_weight(e, before, 1) > 0.0F;
}

int bz_call_evidence_speaks(const bz_call_evidence *e)
{
    return e->value.kind != LEAF_STRING || value_weight(e, &e->value, 0) > 0.0F;
}

void bz_call_evidence_add(bz_call_evidence *e, const bz_call_state *s, const bz_vocab_trie *trie, float *logits)
{
    bz_call_copy(&e->states[0], s);
    e->values[0] = e->value;
    bz_token_set_clear(&e->set, e->n_words);
    bz_vocab_trie_walk(trie, &e->set, 0, evidence_walk, e);
    const size_t n = e->set.count < e->set.capacity ? e->set.count : e->set.capacity;
    for (size_t i = 0; i < n; i++) {
        const int32_t id = e->set.ids[i];
        size_t size = 0;
        const uint8_t *bytes = bz_vocab_trie_token(trie, id, &size);
        if (bytes != NULL)
            logits[id] += bz_call_evidence_weigh(e, s, bytes, size);
    }
}

/* A number, or a name, is left in the text that is listed behind one that was used. */
static int evidence_has_more(const bz_call_evidence *e, int is_number)
{
    int state = 0; /* 1: behind one that was used, 2: and a separator */
    for (uint32_t p = 0; p < e->source.size; p++) {
        const int is_place = e->source.flags[p] & TEXT_STARTS && e->source.flags[p] & TEXT_STRONG &&
                             bz_evidence_is_digit(e->source.text[p]) == is_number;
        if (is_place && e->source.flags[p] & TEXT_USED)
            state = 1;
        else if (is_place && state == 2)
            return 1;
        if (state == 1 &&
            (strchr(",;.?", e->source.text[p]) != NULL || bz_evidence_is_word(&e->source, p, "and") ||
             bz_evidence_is_word(&e->source, p, "or")) &&
            !(e->source.flags[p] & TEXT_USED))
            state = 2;
    }
    return 0;
}

/* A value of that kind is left. */
static int evidence_has_left(const bz_call_evidence *e, const bz_call_node *node)
{
    if (node->n_texts > 0)
        return enum_has_any(e, node, 0, node->n_texts);
    if (node->kind == BZ_SCHEMA_ARRAY)
        return node->item != BZ_CALL_NONE && bz_call_node_at(e->form, node->item)->kind != BZ_SCHEMA_ARRAY &&
               evidence_has_left(e, bz_call_node_at(e->form, node->item));
    if (node->kind == BZ_SCHEMA_INTEGER || node->kind == BZ_SCHEMA_NUMBER)
        return evidence_has_more(e, 1);
    return node->kind == BZ_SCHEMA_STRING && evidence_has_more(e, 0);
}

float bz_call_evidence_next(const bz_call_evidence *e)
{
    const bz_call_form *f = e->form;
    if (f->n_names != 1)
        return 0.0F;
    const bz_call_node *node = bz_call_node_at(f, f->function_nodes[f->names[0].function]);
    for (uint32_t k = 0; k < node->count; k++) {
        const bz_call_property *p = &f->properties[node->first + k];
        if (p->required && evidence_has_left(e, bz_call_node_at(f, p->node)))
            return WEIGHT_NEXT * e->weight;
    }
    return -WEIGHT_DONE * e->weight;
}

/* ---- life ------------------------------------------------------------------------------------------------------------- */

bezel_status bz_call_evidence_new(bz_call_evidence **out, const bezel_world *w, const bz_call_form *form, size_t V,
                                  const char *text, float weight, bezel_error *err)
{
    bz_call_evidence *e = bz_zalloc(w, sizeof *e);
    *out = e;
    if (e == NULL)
        return bz_fail_memory(err, "constraint", "the text that values come from", sizeof *e);
    e->world = w;
    e->form = form;
    e->weight = weight;
    e->states = bz_zalloc_array(w, EVIDENCE_DEPTH, sizeof *e->states);
    e->values = bz_zalloc_array(w, EVIDENCE_DEPTH, sizeof *e->values);
    e->n_words = (V + 31) / 32;
    e->set = (bz_token_set){.bits = bz_zalloc_array(w, e->n_words, sizeof *e->set.bits),
                            .ids = bz_zalloc_array(w, EVIDENCE_TOKENS, sizeof *e->set.ids),
                            .capacity = EVIDENCE_TOKENS};
    if (e->states == NULL || e->values == NULL || e->set.bits == NULL || e->set.ids == NULL) {
        bz_call_evidence_free(e);
        *out = NULL;
        return bz_fail_memory(err, "constraint", "the text that values come from", EVIDENCE_DEPTH * sizeof *e->states);
    }
    bz_evidence_text_read(&e->source, text);
    return BEZEL_OK;
}

void bz_call_evidence_free(bz_call_evidence *e)
{
    if (e == NULL)
        return;
    bz_free(e->world, e->states);
    bz_free(e->world, e->values);
    bz_free(e->world, e->set.bits);
    bz_free(e->world, e->set.ids);
    bz_free(e->world, e);
}
