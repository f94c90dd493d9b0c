/* SPDX-License-Identifier: MIT */
/* The walk through a form (see call_machine.h).
 *
 * A thread is a stack of open objects, lists and argument lists, and one leaf: what is being read now. When a leaf ends, the
 * frame on top says what may come. Several threads exist only where alternatives of a union begin alike; each byte is given to
 * all of them and those that refuse it are gone. Threads that became equal are merged. */
#include "generate/call_leaf.h"

#include <stddef.h>
#include <string.h>

/* What reads one byte: the state to come, and what is asked of it. */
typedef struct call_walk {
    const bz_call_form *form;
    const bz_call_state *from;
    bz_call_state *to;
    uint8_t byte;
} call_walk;

static const char call_list_open[] = "[", call_object_open[] = "{";

static int call_advance(call_walk *w, bz_call_thread *t);
static int call_settle(call_walk *w, bz_call_thread *t);
static void call_settle_and_keep(call_walk *w, bz_call_thread *t);

static bz_call_frame *call_top(bz_call_thread *t)
{
    return &t->frames[t->depth - 1];
}

const bz_call_node *bz_call_node_at(const bz_call_form *f, uint32_t i)
{
    static const bz_call_node any = {.kind = BZ_SCHEMA_ANY, .item = BZ_CALL_NONE, .pattern = BZ_CALL_NONE,
                                     .max_count = 512, .max_open = 64, .open = 1};
    return i == BZ_CALL_NONE ? &any : &f->nodes[i];
}

/* ---- threads ---------------------------------------------------------------------------------------------------------- */

static size_t call_thread_size(const bz_call_thread *t)
{
    return offsetof(bz_call_thread, frames) + t->depth * sizeof t->frames[0];
}

void bz_call_copy(bz_call_state *to, const bz_call_state *from)
{
    memcpy(to, from, offsetof(bz_call_state, made) + from->n_made * sizeof from->made[0]);
    for (uint32_t i = 0; i < from->n_threads; i++)
        memcpy(&to->threads[i], &from->threads[i], call_thread_size(&from->threads[i]));
}

static void call_keep(call_walk *w, const bz_call_thread *t)
{
    bz_call_state *s = w->to;
    const size_t size = call_thread_size(t);
    for (uint32_t i = 0; i < s->n_threads; i++)
        if (s->threads[i].depth == t->depth && memcmp(&s->threads[i], t, size) == 0)
            return;
    if (s->n_threads < BZ_CALL_THREADS)
        memcpy(&s->threads[s->n_threads++], t, size);
}

/* ---- leaves ----------------------------------------------------------------------------------------------------------- */

static void call_clear(bz_call_thread *t, uint8_t leaf)
{
    memset(&t->at, 0, sizeof t->at);
    t->leaf = leaf;
}

static void call_literal(bz_call_thread *t, const char *text, size_t size, uint8_t then)
{
    call_clear(t, LEAF_LITERAL);
    t->at.text.bytes = text;
    t->at.text.size = (uint32_t)size;
    t->then = then;
    if (size == 0)
        t->leaf = then;
}

/* A fixed text whose first byte is the byte at hand. */
static int call_begin_literal(call_walk *w, bz_call_thread *t, const char *text, uint8_t then)
{
    if (text[0] == '\0' || (uint8_t)text[0] != w->byte)
        return 0;
    call_literal(t, text, strlen(text), then);
    return call_advance(w, t);
}

/* Narrows sorted texts to those that go on with the byte; 0 when none does. */
static int call_narrow(bz_call_leaf_text *l, const bz_call_text *texts, uint8_t byte)
{
    uint32_t low = l->low, high = l->high;
    while (low < high && (texts[low].size <= l->at || (uint8_t)texts[low].bytes[l->at] < byte)) {
        const uint32_t middle = low + (high - low) / 2;
        if (texts[middle].size <= l->at || (uint8_t)texts[middle].bytes[l->at] < byte)
            low = middle + 1;
        else if (middle == low)
            break;
        else
            high = middle;
    }
    /* low is the first text that may fit; find where they end */
    uint32_t end = low, limit = l->high;
    while (end < limit) {
        const uint32_t middle = end + (limit - end) / 2;
        if ((uint8_t)texts[middle].bytes[l->at] == byte)
            end = middle + 1;
        else
            limit = middle;
    }
    l->low = low;
    l->high = end;
    l->at++;
    return low < end;
}

static int call_is_made(const bz_call_state *s, uint64_t hash)
{
    for (uint32_t i = 0; i < s->n_made; i++)
        if (s->made[i] == hash)
            return 1;
    return 0;
}

/* Is a function among names [low, high) that may still be called? Those without arguments are used up by one call. */
static int call_has_name(const call_walk *w, uint32_t low, uint32_t high)
{
    const bz_call_form *f = w->form;
    if (w->from->n_made == 0)
        return low < high;
    for (uint32_t i = low; i < high; i++) {
        const uint64_t hash = f->function_hashes[f->names[i].function];
        if (hash == 0 || !call_is_made(w->from, hash))
            return 1;
    }
    return 0;
}

static void call_start_name(bz_call_thread *t, const bz_call_form *f)
{
    call_clear(t, LEAF_NAME);
    t->at.text.high = f->n_names;
    t->hash = BZ_CALL_HASH_START;
    t->n_calls++;
}

static int call_push(bz_call_thread *t, uint32_t node, int is_list, int is_call)
{
    if (t->depth >= BZ_CALL_DEPTH)
        return 0;
    bz_call_frame *frame = &t->frames[t->depth++];
    memset(frame, 0, sizeof *frame);
    frame->node = node;
    frame->is_list = (uint8_t)is_list;
    frame->is_call = (uint8_t)is_call;
    return 1;
}

static int call_name(call_walk *w, bz_call_thread *t)
{
    bz_call_leaf_text *l = &t->at.text;
    if (!call_narrow(l, w->form->names, w->byte) || !call_has_name(w, l->low, l->high))
        return 0;
    const bz_call_text *name = &w->form->names[l->low];
    if (name->size != l->at)
        return 1;
    if (!call_push(t, w->form->function_nodes[name->function], 0, 1))
        return 0;
    call_clear(t, LEAF_FIRST);
    return 1;
}

/* ---- members ---------------------------------------------------------------------------------------------------------- */

/* Bits of properties from `first` on that are free and have room for their values. */
static uint64_t call_free(const bz_call_form *f, const bz_call_thread *t, const bz_call_frame *frame, uint32_t first)
{
    const bz_call_node *node = bz_call_node_at(f, frame->node);
    uint64_t free = 0;
    for (uint32_t i = first; i < node->count; i++)
        if (!(frame->used >> i & 1) && t->depth + f->nodes[f->properties[node->first + i].node].height <= BZ_CALL_DEPTH)
            free |= (uint64_t)1 << i;
    return free;
}

static uint32_t call_bits(uint64_t bits)
{
    uint32_t n = 0;
    for (; bits != 0; bits &= bits - 1)
        n++;
    return n;
}

/* Properties that may come next: any unused, or in order up to the first required one that is missing. Left out are those
 * behind which there would be too few or too many keys. */
static uint64_t call_candidates(const bz_call_form *f, const bz_call_thread *t, const bz_call_frame *frame)
{
    const bz_call_node *node = bz_call_node_at(f, frame->node);
    const uint32_t missing = call_bits(node->required & ~frame->used), open = node->open && !frame->is_call ? node->max_open : 0;
    uint64_t candidates = 0;
    uint32_t first = 0;
    for (uint32_t i = 0; !f->any_order && i < node->count; i++)
        if (frame->used >> i & 1)
            first = i + 1;
    const uint64_t free = call_free(f, t, frame, first);
    for (uint32_t i = first; i < node->count; i++) {
        const uint64_t bit = (uint64_t)1 << i;
        const uint32_t behind = f->any_order ? call_bits(free & ~bit) : i < 63 ? call_bits(free >> (i + 1)) : 0;
        if (frame->used & bit)
            continue;
        if ((free & bit) && frame->count + 1 + missing - (node->required & bit ? 1U : 0U) <= node->max_count &&
            (uint64_t)frame->count + 1 + behind + open >= node->min_count)
            candidates |= bit;
        if (!f->any_order && (node->required & bit))
            break;
    }
    return candidates;
}

/* May a key come that is not declared? They stand behind what is required. */
static int call_may_open(const bz_call_form *f, const bz_call_thread *t, const bz_call_frame *frame)
{
    const bz_call_node *node = bz_call_node_at(f, frame->node);
    return node->open && !frame->is_call && frame->n_open < node->max_open && frame->count < node->max_count &&
           (frame->used & node->required) == node->required && t->depth + bz_call_node_at(f, node->item)->height <= BZ_CALL_DEPTH;
}

static int call_is_noted(const bz_call_frame *frame, uint32_t hash)
{
    for (uint32_t i = 0; i < BZ_CALL_UNIQUE && i < frame->n_hashes; i++)
        if (frame->hashes[i] == (uint16_t)(hash >> 16 | 1))
            return 1;
    return 0;
}

/* Does a number that begins like this have an end that the list does not hold yet? At most as many ends are tried as are
 * held. */
static int call_number_is_new(const bz_call_frame *list, const bz_call_node *node, const bz_call_leaf_number *n)
{
    if (bz_call_number_complete(n, node) && !call_is_noted(list, bz_call_number_hash(n)))
        return 1;
    for (uint8_t byte = '-'; byte <= '9'; byte++) {
        bz_call_leaf_number next = *n;
        if (bz_call_number_read(&next, node, byte) == BZ_CALL_READ && call_number_is_new(list, node, &next)) /* as deep as digits */
            return 1;
    }
    return 0;
}

/* The list around a number when it takes none twice; NULL also where it wants more than there are, as its hashes tell. */
static bz_call_frame *call_unique_number(const bz_call_form *f, bz_call_thread *t)
{
    const bz_call_leaf_number start = {0};
    bz_call_frame *frame = bz_call_unique(f, t);
    if (frame == NULL || frame->count >= bz_call_node_at(f, frame->node)->min_count)
        return frame;
    return call_number_is_new(frame, bz_call_node_at(f, t->node), &start) ? frame : NULL;
}

/* The node of the next item of a list. */
static uint32_t call_item(const bz_call_form *f, const bz_call_frame *frame)
{
    const bz_call_node *node = bz_call_node_at(f, frame->node);
    return frame->count < node->count ? f->links[node->first + frame->count] : node->item;
}

static int call_may_close(const bz_call_form *f, const bz_call_frame *frame)
{
    const bz_call_node *node = bz_call_node_at(f, frame->node);
    return frame->count >= node->min_count && (frame->used & node->required) == node->required;
}

static int call_may_add(const bz_call_form *f, const bz_call_thread *t, const bz_call_frame *frame)
{
    if (!frame->is_list)
        return call_candidates(f, t, frame) != 0 || call_may_open(f, t, frame);
    const bz_call_node *list = bz_call_node_at(f, frame->node), *item = bz_call_node_at(f, list->item);
    const bz_call_leaf_number start = {0};
    if (list->unique == 2 && item->kind != BZ_SCHEMA_STRING && frame->count >= list->min_count &&
        !call_number_is_new(frame, item, &start))
        return 0;
    return frame->count < list->max_count &&
           t->depth + bz_call_node_at(f, call_item(f, frame))->height <= BZ_CALL_DEPTH;
}

/* The next member begins; the byte is not read yet. 1: it may also be an unknown key, which is for the caller to try. */
static int call_start_member(bz_call_thread *t, const bz_call_form *f)
{
    const bz_call_frame *frame = call_top(t);
    const char *open = f->dialect.member_open;
    if (frame->is_list) {
        t->node = call_item(f, frame);
        call_clear(t, LEAF_VALUE);
        return 0;
    }
    const uint64_t keys = call_candidates(f, t, frame);
    const int may_open = call_may_open(f, t, frame);
    if (keys == 0) {
        call_literal(t, open, strlen(open), LEAF_BEGIN_KEY);
        return 0;
    }
    call_clear(t, LEAF_KEY);
    t->at.text.keys = keys;
    return may_open;
}

static void call_start_open_key(bz_call_thread *t, const bz_call_thread *from, const bz_call_form *f)
{
    const char *open = f->dialect.member_open;
    memcpy(t, from, call_thread_size(from));
    call_literal(t, open, strlen(open), LEAF_BEGIN_KEY);
}

static int call_close(call_walk *w, bz_call_thread *t)
{
    const bz_call_frame *frame = call_top(t);
    const uint8_t then = frame->is_call ? LEAF_CALL_END : LEAF_VALUE_END;
    const char *text = bz_call_closer(w->form, frame);
    if ((uint8_t)text[0] != w->byte || !call_may_close(w->form, frame))
        return 0;
    /* t->hash holds the first byte of what closes */
    if (frame->is_call && call_is_made(w->from, bz_call_hash(t->hash, text + 1, strlen(text + 1))))
        return 0;
    t->depth--;
    return call_begin_literal(w, t, text, then);
}

static int call_first(call_walk *w, bz_call_thread *t)
{
    bz_call_frame *frame = call_top(t);
    if ((uint8_t)bz_call_closer(w->form, frame)[0] == w->byte && call_may_close(w->form, frame))
        return call_close(w, t);
    if (!call_may_add(w->form, t, frame))
        return 0;
    if (call_start_member(t, w->form)) {
        bz_call_thread open;
        call_start_open_key(&open, t, w->form);
        if (call_settle(w, &open) && call_advance(w, &open))
            call_settle_and_keep(w, &open);
    }
    return call_settle(w, t) && call_advance(w, t);
}

static int call_after(call_walk *w, bz_call_thread *t)
{
    bz_call_frame *frame = call_top(t);
    if (w->byte == (uint8_t)w->form->dialect.sep[0])
        return call_may_add(w->form, t, frame) && call_begin_literal(w, t, w->form->dialect.sep, LEAF_MEMBER);
    return call_close(w, t);
}

static int call_key(call_walk *w, bz_call_thread *t)
{
    const bz_call_form *f = w->form;
    bz_call_leaf_text *l = &t->at.text;
    bz_call_frame *frame = call_top(t);
    const bz_call_node *node = bz_call_node_at(f, frame->node);
    uint64_t keys = 0;
    for (uint32_t i = 0; i < node->count; i++) {
        const bz_call_property *p = &f->properties[node->first + i];
        const bz_call_text *text = frame->is_call ? &p->key : &p->member;
        if (!(l->keys >> i & 1) || l->at >= text->size || (uint8_t)text->bytes[l->at] != w->byte)
            continue;
        keys |= (uint64_t)1 << i;
        if (l->at + 1 == text->size) {
            frame->used |= (uint64_t)1 << i;
            call_clear(t, LEAF_VALUE);
            t->node = p->node;
            return 1;
        }
    }
    l->keys = keys;
    l->at++;
    return keys != 0;
}

/* ---- values ----------------------------------------------------------------------------------------------------------- */

static void call_value_end(bz_call_thread *t)
{
    if (t->depth == 0) {
        call_clear(t, LEAF_DONE);
        return;
    }
    call_top(t)->count++;
    call_clear(t, LEAF_AFTER);
}

/* Marks member i as used; 0 when it was. */
static int call_use(const bz_call_form *f, bz_call_thread *t, uint32_t i)
{
    bz_call_frame *frame = bz_call_unique(f, t);
    if (frame == NULL)
        return 1;
    if (frame->used >> i & 1)
        return 0;
    frame->used |= (uint64_t)1 << i;
    return 1;
}

static int call_enum_left(const bz_call_form *f, bz_call_thread *t, uint32_t low, uint32_t high)
{
    const bz_call_frame *frame = bz_call_unique(f, t);
    if (frame == NULL)
        return low < high;
    while (low < high && (frame->used >> low & 1))
        low++;
    return low < high;
}

static int call_enum(call_walk *w, bz_call_thread *t)
{
    const bz_call_form *f = w->form;
    const bz_call_text *texts = f->texts + bz_call_node_at(f, t->node)->first_text;
    bz_call_leaf_text *l = &t->at.text;
    const bz_call_leaf_text before = *l;
    if (call_narrow(l, texts, w->byte) && call_enum_left(f, t, l->low, l->high)) {
        if (l->low + 1 == l->high && texts[l->low].size == l->at) {
            (void)call_use(f, t, l->low);
            t->leaf = LEAF_VALUE_END;
        }
        return 1;
    }
    /* 1 where 12 is a member too: the shorter one ended before this byte */
    if (before.at == 0 || texts[before.low].size != before.at || !call_use(f, t, before.low))
        return 0;
    t->leaf = LEAF_VALUE_END;
    return call_settle(w, t) && call_advance(w, t);
}

static int call_is_declared(const bz_call_form *f, const bz_call_node *node, uint32_t hash)
{
    for (uint32_t i = 0; i < node->count; i++)
        if (f->properties[node->first + i].hash == hash)
            return 1;
    return 0;
}

/* May something else than the end follow? Costs 256 tries; it is asked for what is there twice. */
static int call_string_goes_on(const bz_call_form *f, const bz_call_thread *t)
{
    for (uint32_t byte = 0x20; byte < 256; byte++) {
        bz_call_leaf_string next = t->at.string;
        if (bz_call_string_read(&next, f, bz_call_node_at(f, t->node), (uint8_t)byte) == BZ_CALL_READ)
            return 1;
    }
    return 0;
}

static void call_note(bz_call_frame *frame, uint32_t hash)
{
    frame->hashes[frame->n_hashes++ % BZ_CALL_UNIQUE] = (uint16_t)(hash >> 16 | 1);
}

static int call_key_end(call_walk *w, bz_call_thread *t, const bz_call_leaf_string *before)
{
    const bz_call_dialect *d = &w->form->dialect;
    bz_call_frame *frame = call_top(t);
    const bz_call_node *node = bz_call_node_at(w->form, frame->node);
    if (call_is_noted(frame, before->hash) || call_is_declared(w->form, node, before->hash)) {
        bz_call_thread same;
        memcpy(&same, t, call_thread_size(t));
        same.at.string = *before;
        if (call_string_goes_on(w->form, &same))
            return 0;
    }
    call_note(frame, before->hash);
    frame->n_open++;
    t->node = node->item;
    call_literal(t, d->member_close + 1, strlen(d->member_close) - 1, LEAF_VALUE);
    return 1;
}

static int call_string(call_walk *w, bz_call_thread *t)
{
    const bz_call_dialect *d = &w->form->dialect;
    const bz_call_leaf_string before = t->at.string;
    const bz_call_node *node = bz_call_node_at(w->form, t->node);
    const int got = bz_call_string_read(&t->at.string, w->form, node, w->byte);
    bz_call_frame *list = before.is_unique && !before.is_key ? bz_call_unique(w->form, t) : NULL;
    if (got == BZ_CALL_READ) /* one that can only end must not be there; another character is free then */
        return list == NULL || node->pattern != BZ_CALL_NONE || t->at.string.count < node->max_count || t->at.string.need > 0 ||
               t->at.string.escape > 0 || !call_is_noted(list, t->at.string.hash);
    if (got != BZ_CALL_FINISHED)
        return 0;
    if (before.is_key)
        return call_key_end(w, t, &before);
    if (list != NULL && call_is_noted(list, before.hash)) {
        t->at.string = before;
        if (call_string_goes_on(w->form, t))
            return 0;
    }
    if (list != NULL)
        call_note(list, before.hash);
    call_literal(t, d->string_close + 1, strlen(d->string_close) - 1, LEAF_VALUE_END);
    return 1;
}

static int call_number(call_walk *w, bz_call_thread *t)
{
    const bz_call_node *node = bz_call_node_at(w->form, t->node);
    const int got = bz_call_number_read(&t->at.number, node, w->byte);
    bz_call_frame *list = call_unique_number(w->form, t);
    if (got == BZ_CALL_READ)
        return list == NULL || call_number_is_new(list, node, &t->at.number);
    if (got != BZ_CALL_BEFORE)
        return 0;
    const uint32_t hash = bz_call_number_hash(&t->at.number);
    if (list != NULL && call_is_noted(list, hash))
        return 0;
    if (list != NULL)
        call_note(list, hash);
    t->leaf = LEAF_VALUE_END;
    return call_settle(w, t) && call_advance(w, t);
}

static void call_settle_and_keep(call_walk *w, bz_call_thread *t)
{
    if (call_settle(w, t))
        call_keep(w, t);
}

/* A way to begin the value: with a fixed text. member: of a list that takes nothing twice. */
static void call_try_text(call_walk *w, const bz_call_thread *t, const char *text, uint8_t then, uint32_t member)
{
    bz_call_thread next;
    if ((uint8_t)text[0] != w->byte)
        return;
    memcpy(&next, t, call_thread_size(t));
    if (call_begin_literal(w, &next, text, then) && call_use(w->form, &next, member))
        call_settle_and_keep(w, &next);
}

static void call_try_string(call_walk *w, const bz_call_thread *t, uint32_t node)
{
    bz_call_thread next;
    if ((uint8_t)w->form->dialect.string_open[0] != w->byte)
        return;
    memcpy(&next, t, call_thread_size(t));
    next.node = node;
    if (call_begin_literal(w, &next, w->form->dialect.string_open, LEAF_BEGIN_STRING))
        call_settle_and_keep(w, &next);
}

static void call_try_frame(call_walk *w, const bz_call_thread *t, uint32_t node, int is_list)
{
    bz_call_thread next;
    if (w->byte != (uint8_t)(is_list ? call_list_open : call_object_open)[0])
        return;
    memcpy(&next, t, call_thread_size(t));
    if (!call_push(&next, node, is_list, 0))
        return;
    call_clear(&next, LEAF_FIRST);
    call_keep(w, &next);
}

/* A number or a member of an enum: the byte is its first. */
static void call_try_leaf(call_walk *w, const bz_call_thread *t, uint32_t node, uint8_t leaf)
{
    bz_call_thread next;
    if (leaf == LEAF_NUMBER && w->byte != '-' && (w->byte < '0' || w->byte > '9'))
        return;
    memcpy(&next, t, call_thread_size(t));
    next.node = node;
    call_clear(&next, leaf);
    if (leaf == LEAF_ENUM)
        next.at.text.high = bz_call_node_at(w->form, node)->n_texts;
    if (call_advance(w, &next))
        call_settle_and_keep(w, &next);
}

static void call_any_value(call_walk *w, const bz_call_thread *t)
{
    const bz_call_dialect *d = &w->form->dialect;
    call_try_string(w, t, BZ_CALL_NONE);
    call_try_leaf(w, t, BZ_CALL_NONE, LEAF_NUMBER);
    call_try_text(w, t, d->true_text, LEAF_VALUE_END, 0);
    call_try_text(w, t, d->false_text, LEAF_VALUE_END, 0);
    call_try_text(w, t, d->null_text, LEAF_VALUE_END, 0);
    if (t->depth < BZ_CALL_DEPTH / 2) {
        call_try_frame(w, t, BZ_CALL_NONE, 1);
        call_try_frame(w, t, BZ_CALL_NONE, 0);
    }
}

/* All ways in which a value of the node may begin with the byte. */
static void call_branch(call_walk *w, const bz_call_thread *t, uint32_t i, uint32_t depth)
{
    const bz_call_form *f = w->form;
    const bz_call_dialect *d = &f->dialect;
    const bz_call_node *node = bz_call_node_at(f, i);
    if (t->depth + node->height > BZ_CALL_DEPTH || depth > 8)
        return;
    if (node->nullable)
        call_try_text(w, t, d->null_text, LEAF_VALUE_END, 0);
    if (node->n_texts > 0) {
        call_try_leaf(w, t, i, LEAF_ENUM);
        return;
    }
    switch (node->kind) {
    case BZ_SCHEMA_UNION:
        for (uint32_t k = 0; k < node->count; k++)
            call_branch(w, t, f->links[node->first + k], depth + 1);
        break;
    case BZ_SCHEMA_STRING:
        call_try_string(w, t, i);
        break;
    case BZ_SCHEMA_INTEGER:
    case BZ_SCHEMA_NUMBER:
        call_try_leaf(w, t, i, LEAF_NUMBER);
        break;
    case BZ_SCHEMA_BOOLEAN:
        call_try_text(w, t, d->true_text, LEAF_VALUE_END, 0);
        call_try_text(w, t, d->false_text, LEAF_VALUE_END, 1);
        break;
    case BZ_SCHEMA_NULL:
        call_try_text(w, t, d->null_text, LEAF_VALUE_END, 0);
        break;
    case BZ_SCHEMA_ARRAY:
    case BZ_SCHEMA_OBJECT:
        call_try_frame(w, t, i, node->kind == BZ_SCHEMA_ARRAY);
        break;
    default:
        call_any_value(w, t);
    }
}

/* ---- calls ------------------------------------------------------------------------------------------------------------ */

static void call_call_end(call_walk *w, bz_call_thread *t)
{
    if (w->to->n_made < BZ_CALL_MADE && !call_is_made(w->to, t->hash))
        w->to->made[w->to->n_made++] = t->hash;
    t->hash = 0;
    call_clear(t, LEAF_NEXT_CALL);
}

static int call_calls(call_walk *w, bz_call_thread *t)
{
    const bz_call_dialect *d = &w->form->dialect;
    if (d->list_open[0] != '\0' && w->byte == (uint8_t)d->list_open[0] && (!d->bare || w->form->max_calls > 1)) {
        t->in_list = 1;
        call_literal(t, w->form->first_open.bytes, w->form->first_open.size, LEAF_BEGIN_NAME);
        return 1;
    }
    if (d->list_open[0] != '\0' && !d->bare)
        return 0;
    return call_begin_literal(w, t, w->form->first_open.bytes, LEAF_BEGIN_NAME);
}

static int call_next_call(call_walk *w, bz_call_thread *t)
{
    const bz_call_dialect *d = &w->form->dialect;
    const bz_call_text *open = &w->form->next_open;
    if (t->in_list && w->byte == (uint8_t)d->list_close[0])
        return call_begin_literal(w, t, d->list_close, LEAF_DONE);
    if (t->n_calls >= w->form->max_calls || (d->list_open[0] != '\0' && !t->in_list) ||
        !call_has_name(w, 0, w->form->n_names))
        return 0;
    return call_begin_literal(w, t, open->bytes, LEAF_BEGIN_NAME);
}

/* ---- one byte --------------------------------------------------------------------------------------------------------- */

static int call_read_literal(call_walk *w, bz_call_thread *t)
{
    bz_call_leaf_text *l = &t->at.text;
    if ((uint8_t)l->bytes[l->at] != w->byte)
        return 0;
    if (++l->at == l->size)
        t->leaf = t->then;
    return 1;
}

/* Turns leaves that read nothing into what reads the next byte, so that equal states look equal. 0: refused. */
static int call_settle(call_walk *w, bz_call_thread *t)
{
    const bz_call_form *f = w->form;
    switch (t->leaf) {
    case LEAF_VALUE_END:
        call_value_end(t);
        break;
    case LEAF_CALL_END:
        call_call_end(w, t);
        break;
    case LEAF_MEMBER:
        if (call_start_member(t, f)) {
            bz_call_thread open;
            call_start_open_key(&open, t, f);
            call_settle_and_keep(w, &open);
        }
        return t->leaf != LEAF_BEGIN_KEY || call_settle(w, t);
    case LEAF_BEGIN_NAME:
        call_start_name(t, f);
        break;
    case LEAF_BEGIN_STRING:
        call_clear(t, LEAF_STRING);
        bz_call_string_start(&t->at.string, f, bz_call_node_at(f, t->node), 0);
        t->at.string.is_unique = bz_call_unique(f, t) != NULL;
        break;
    case LEAF_BEGIN_KEY:
        call_clear(t, LEAF_STRING);
        t->node = call_top(t)->node;
        bz_call_string_start(&t->at.string, f, bz_call_node_at(f, t->node), 1);
        break;
    default:
        break;
    }
    return 1;
}

/* Gives the byte to what the thread is reading. Values may become several threads: those are kept here, and the answer is 0. */
static int call_advance(call_walk *w, bz_call_thread *t)
{
    switch (t->leaf) {
    case LEAF_LITERAL:
        return call_read_literal(w, t);
    case LEAF_CALLS:
        return call_calls(w, t);
    case LEAF_NAME:
        return call_name(w, t);
    case LEAF_NEXT_CALL:
        return call_next_call(w, t);
    case LEAF_FIRST:
        return call_first(w, t);
    case LEAF_AFTER:
        return call_after(w, t);
    case LEAF_KEY:
        return call_key(w, t);
    case LEAF_VALUE:
        call_branch(w, t, t->node, 0);
        return 0;
    case LEAF_ENUM:
        return call_enum(w, t);
    case LEAF_STRING:
        return call_string(w, t);
    case LEAF_NUMBER:
        return call_number(w, t);
    default:
        return 0;
    }
}

/* ---- the state -------------------------------------------------------------------------------------------------------- */

void bz_call_start(bz_call_state *s, const bz_call_form *f, int spaced, const bz_call_state *made)
{
    bz_call_thread *t = &s->threads[0];
    s->n_made = made != NULL ? made->n_made : 0;
    if (made != NULL && made != s)
        memcpy(s->made, made->made, made->n_made * sizeof made->made[0]);
    memset(t, 0, sizeof *t);
    const uint8_t leaf = f->root == BZ_CALL_ROOT_CALLS ? LEAF_CALLS : LEAF_VALUE;
    s->n_threads = 1;
    t->node = f->root_node;
    call_literal(t, " ", spaced ? 1 : 0, leaf);
}

void bz_call_forbid(bz_call_state *s, const char *call, size_t size)
{
    if (s->n_made < BZ_CALL_MADE)
        s->made[s->n_made++] = bz_call_hash(BZ_CALL_HASH_START, call, size);
}

int bz_call_feed(bz_call_state *s, const bz_call_form *f, uint8_t byte)
{
    const int inside = s->n_threads == 1 ? bz_call_feed_inside(s, f, byte) : -1;
    if (inside >= 0) {
        s->n_threads = (uint32_t)inside;
        return inside;
    }
    bz_call_state next;
    next.n_threads = 0;
    next.n_made = s->n_made;
    memcpy(next.made, s->made, s->n_made * sizeof s->made[0]);
    call_walk w = {f, s, &next, byte};
    for (uint32_t i = 0; i < s->n_threads; i++) {
        bz_call_thread t;
        memcpy(&t, &s->threads[i], call_thread_size(&s->threads[i]));
        t.hash = bz_call_hash(t.hash, (const char *)&byte, 1);
        if (call_advance(&w, &t))
            call_settle_and_keep(&w, &t);
    }
    bz_call_copy(s, &next);
    return s->n_threads > 0;
}
