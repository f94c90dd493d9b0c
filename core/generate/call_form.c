/* SPDX-License-Identifier: MIT */
/* Compiles schemas and a dialect to the tables of call_form.h.
 *
 * The node tables of all functions lie behind one another, so an index of a schema becomes one of the form by adding where its
 * table begins. Everything is in one arena. */
#include "generate/call_form.h"

#include "base/alloc.h"
#include "base/number.h"
#include "base/strbuf.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FORM_NODES 65536U     /* of all functions */
#define FORM_OPEN_KEYS 64U    /* of one object that no schema names */
#define FORM_INTEGER_DIGITS 15 /* of a number with limits: all are exact in a double */
#define FORM_LARGEST 9007199254740992 /* 2^53 */
#define FORM_MOST_UNITS 9e15 /* of a number with limits */

typedef struct form_maker {
    bz_call_form *form;
    const bz_call_source *source;
    const bz_schema *schema; /* in work, its nodes begin at `base` */
    const char *what;
    uint32_t node; /* of the schema, in work */
    uint32_t base, n_properties, n_links, n_texts;
    uint32_t capacity_nodes, capacity_properties, capacity_links, capacity_texts;
    bz_strbuf scratch;
    bezel_error *err;
} form_maker;

uint64_t bz_call_hash(uint64_t hash, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) /* FNV-1a */
        hash = (hash ^ (uint8_t)bytes[i]) * 0x100000001B3U;
    return hash;
}

static bezel_status form_no_memory(form_maker *m)
{
    return bz_fail_memory(m->err, "constraint", "the compiled form", m->form->arena.used);
}

static void form_warn(form_maker *m, const char *keyword, const char *reason)
{
    if (m->source->warn != NULL)
        m->source->warn(m->source->ud, m->what, bz_schema_path(m->schema, m->node), keyword, reason);
}

/* ---- texts ------------------------------------------------------------------------------------------------------------ */

/* Moves the scratch text to the arena. */
static int form_keep(form_maker *m, bz_call_text *out)
{
    out->size = (uint32_t)m->scratch.size;
    out->bytes = m->scratch.status == BEZEL_OK
                     ? bz_arena_text(&m->form->arena, bz_strbuf_cstr(&m->scratch), m->scratch.size)
                     : NULL;
    bz_strbuf_reset(&m->scratch);
    return out->bytes != NULL;
}

/* The inside of a string as the machine accepts it: escaped where the dialect escapes, else as it is. */
static void form_escape(form_maker *m, const char *text, size_t size)
{
    static const char named[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    for (size_t i = 0; i < size; i++) {
        const char c = text[i];
        const char *found = c != '\0' ? strchr(named, c) : NULL;
        if (m->form->dialect.escapes == BZ_CALL_ESCAPES_NONE)
            bz_strbuf_char(&m->scratch, c);
        else if (found != NULL)
            bz_strbuf_format(&m->scratch, "\\%c", letters[found - named]);
        else if ((uint8_t)c < 0x20 || c == 0x7F)
            bz_strbuf_format(&m->scratch, "\\u%04x", (unsigned)(uint8_t)c);
        else
            bz_strbuf_char(&m->scratch, c);
    }
}

static void form_member_text(form_maker *m, const bezel_value *value);

static void form_member_items(form_maker *m, const bezel_value *value)
{
    const bz_call_dialect *d = &m->form->dialect;
    const int is_map = bezel_value_type(value) == BEZEL_MAP;
    bz_strbuf_char(&m->scratch, is_map ? '{' : '[');
    for (size_t i = 0; i < bezel_value_count(value); i++) {
        size_t size;
        bz_strbuf_text(&m->scratch, i > 0 ? d->sep : "");
        if (is_map) {
            const char *key = bezel_value_key(value, i, &size);
            bz_strbuf_text(&m->scratch, d->member_open);
            form_escape(m, key, size);
            bz_strbuf_text(&m->scratch, d->member_close);
        }
        form_member_text(m, bezel_value_at(value, i)); /* a value is at most 64 levels deep */
    }
    bz_strbuf_char(&m->scratch, is_map ? '}' : ']');
}

/* A value as the dialect writes it. */
static void form_member_text(form_maker *m, const bezel_value *value)
{
    const bz_call_dialect *d = &m->form->dialect;
    char number[32];
    size_t size;
    switch (bezel_value_type(value)) {
    case BEZEL_LIST:
    case BEZEL_MAP:
        form_member_items(m, value);
        break;
    case BEZEL_NULL:
        bz_strbuf_text(&m->scratch, d->null_text);
        break;
    case BEZEL_BOOL:
        bz_strbuf_text(&m->scratch, bezel_value_bool(value) ? d->true_text : d->false_text);
        break;
    case BEZEL_INTEGER:
        bz_strbuf_format(&m->scratch, "%" PRId64, bezel_value_integer(value));
        break;
    case BEZEL_NUMBER:
        bz_strbuf_add(&m->scratch, number, bz_number_format(number, bezel_value_number(value)));
        break;
    default: {
        const char *text = bezel_value_text(value, &size);
        bz_strbuf_text(&m->scratch, d->string_open);
        form_escape(m, text, size);
        bz_strbuf_text(&m->scratch, d->string_close);
    }
    }
}

static int form_compare(const void *a, const void *b)
{
    const bz_call_text *x = a, *y = b;
    const int order = memcmp(x->bytes, y->bytes, x->size < y->size ? x->size : y->size);
    return order != 0 ? order : x->size < y->size ? -1 : x->size > y->size;
}

/* Sorts texts and drops what is there twice; the new count. */
static uint32_t form_sort(bz_call_text *texts, uint32_t n)
{
    uint32_t kept = 0;
    if (n > 0)
        qsort(texts, n, sizeof *texts, form_compare);
    for (uint32_t i = 0; i < n; i++)
        if (kept == 0 || form_compare(&texts[kept - 1], &texts[i]) != 0)
            texts[kept++] = texts[i];
    return kept;
}

/* ---- nodes ------------------------------------------------------------------------------------------------------------ */

static bezel_status form_enum(form_maker *m, bz_call_node *node, const bz_schema_node *from)
{
    node->first_text = m->n_texts;
    for (uint32_t i = 0; i < from->n_values; i++) {
        form_member_text(m, bz_schema_member(m->schema, from->first_value + i));
        if (!form_keep(m, &m->form->texts[m->n_texts + i]))
            return form_no_memory(m);
    }
    node->n_texts = form_sort(m->form->texts + m->n_texts, from->n_values);
    m->n_texts += from->n_values;
    return BEZEL_OK;
}

static uint32_t form_limit(int64_t given, uint32_t otherwise)
{
    return given < 0 ? otherwise : given > INT32_MAX ? INT32_MAX : (uint32_t)given;
}

static bezel_status form_pattern(form_maker *m, bz_call_node *node, const bz_schema_node *from)
{
    const int is_format = from->pattern_text == NULL && from->kind == BZ_SCHEMA_STRING;
    const char *text = is_format ? bz_call_pattern_format(from->format) : from->pattern_text;
    const char *reason;
    node->pattern = BZ_CALL_NONE;
    if (text == NULL)
        return BEZEL_OK;
    bz_call_pattern *p = bz_call_pattern_new(&m->form->arena, text, strlen(text), &reason);
    if (p == NULL && reason == NULL)
        return form_no_memory(m);
    if (p == NULL) {
        form_warn(m, is_format ? "format" : "pattern", reason);
        return BEZEL_OK;
    }
    const int is_key = from->kind == BZ_SCHEMA_OBJECT;
    bz_call_pattern_set start;
    bz_call_pattern_start(&start, p);
    const uint32_t needs = bz_call_pattern_needs(&start, p, is_key ? 1 : node->min_count);
    if (!is_key && from->max_count < 0 && needs != UINT32_MAX && node->max_count < needs)
        node->max_count = needs;
    if (needs > (is_key ? BZ_CALL_OPEN_KEYS : node->max_count)) {
        form_warn(m, is_format ? "format" : "pattern", "goes with no length that is allowed");
        return BEZEL_OK;
    }
    node->pattern = m->form->n_patterns;
    m->form->patterns[m->form->n_patterns++] = p;
    return BEZEL_OK;
}

static void form_integer(form_maker *m, bz_call_node *node, const bz_schema_node *from)
{
    const int is_default = from->min_integer == INT64_MIN && from->max_integer == INT64_MAX;
    node->exact = 1;
    node->low = from->min_integer;
    node->high = from->max_integer;
    if (is_default || node->low < -FORM_LARGEST)
        node->low = node->high >= -FORM_LARGEST ? -FORM_LARGEST : node->low;
    if (is_default || node->high > FORM_LARGEST)
        node->high = node->low <= FORM_LARGEST ? FORM_LARGEST : node->high;
    if (from->multiple >= 1.0 && from->multiple == floor(from->multiple) && from->multiple <= (double)FORM_LARGEST)
        node->multiple = (uint64_t)from->multiple;
    else if (from->multiple > 0.0)
        form_warn(m, "multipleOf", "is only checked afterwards");
}

/* Decimals with which a number of up to `size` is exact in a double. */
static uint32_t form_decimals(double size)
{
    uint32_t decimals = 0;
    while (decimals < FORM_INTEGER_DIGITS && size * 10.0 <= FORM_MOST_UNITS) {
        size *= 10.0;
        decimals++;
    }
    return decimals;
}

/* The largest magnitude that will be written. */
static double form_size(const bz_schema_node *from)
{
    const int has_min = (from->flags & BZ_SCHEMA_HAS_MIN) != 0, has_max = (from->flags & BZ_SCHEMA_HAS_MAX) != 0;
    double size = 1.0;
    if (has_min)
        size = fmax(size, fabs(from->minimum));
    if (has_max)
        size = fmax(size, fabs(from->maximum));
    return has_min && has_max ? size : fmax(size * 1000.0, 1e9);
}

/* A limit inwards to whole units; sign 1 for a lower, -1 for an upper one. */
static double form_units(double limit, double unit, int is_open, double sign)
{
    double units = sign * ceil(sign * limit * unit);
    if (sign * (units / unit) < sign * limit || (is_open && sign * (units / unit) <= sign * limit))
        units += sign;
    return units;
}

/* Limits in units of 10^-decimals, as many decimals as keep every value exact in a double. */
static void form_number(form_maker *m, bz_call_node *node, const bz_schema_node *from)
{
    const uint32_t limits = BZ_SCHEMA_HAS_MIN | BZ_SCHEMA_HAS_MAX;
    if (!(from->flags & limits) && from->multiple <= 0.0)
        return;
    const uint32_t decimals = form_decimals(form_size(from));
    const double unit = pow(10.0, decimals), largest = FORM_MOST_UNITS / unit;
    double low = -FORM_MOST_UNITS, high = FORM_MOST_UNITS;
    if ((from->flags & BZ_SCHEMA_HAS_MIN) && from->minimum > -largest)
        low = form_units(from->minimum, unit, (from->flags & BZ_SCHEMA_MIN_EXCLUSIVE) != 0, 1.0);
    if ((from->flags & BZ_SCHEMA_HAS_MAX) && from->maximum < largest)
        high = form_units(from->maximum, unit, (from->flags & BZ_SCHEMA_MAX_EXCLUSIVE) != 0, -1.0);
    if (!(low <= high) || fabs(low) > FORM_MOST_UNITS || fabs(high) > FORM_MOST_UNITS) {
        form_warn(m, "minimum", "is only checked afterwards");
        return;
    }
    node->exact = 1;
    node->decimals = (uint8_t)decimals;
    node->low = (int64_t)low;
    node->high = (int64_t)high;
    const double multiple = from->multiple * unit;
    if (multiple >= 1.0 && fabs(multiple - nearbyint(multiple)) < 1e-9 * multiple && multiple < FORM_MOST_UNITS)
        node->multiple = (uint64_t)nearbyint(multiple);
    else if (from->multiple > 0.0)
        form_warn(m, "multipleOf", "is only checked afterwards");
}

static void form_links(form_maker *m, bz_call_node *node, const bz_schema_node *from)
{
    node->first = m->n_links;
    node->count = from->count;
    for (uint32_t k = 0; k < from->count; k++)
        m->form->links[m->n_links++] = m->base + bz_schema_link(m->schema, from->first + k);
}

static bezel_status form_property(form_maker *m, bz_call_property *out, const bz_schema_property *p)
{
    const bz_call_dialect *d = &m->form->dialect;
    out->node = m->base + p->node;
    out->required = p->required;
    for (size_t i = 0; i < p->name_size; i++)
        out->hash = bz_call_string_hash(out->hash, (uint8_t)p->name[i]);
    bz_strbuf_text(&m->scratch, d->key_open);
    if (d->key_open[0] != '\0')
        form_escape(m, p->name, p->name_size);
    else
        bz_strbuf_add(&m->scratch, p->name, p->name_size);
    bz_strbuf_text(&m->scratch, d->key_close);
    if (!form_keep(m, &out->key))
        return form_no_memory(m);
    bz_strbuf_text(&m->scratch, d->member_open);
    form_escape(m, p->name, p->name_size);
    bz_strbuf_text(&m->scratch, d->member_close);
    return form_keep(m, &out->member) ? BEZEL_OK : form_no_memory(m);
}

/* Which keys beside the declared ones are written: where the schema asks for them or has no others. */
static bezel_status form_open_keys(form_maker *m, bz_call_node *node, const bz_schema_node *from)
{
    const int is_asked = (from->flags & BZ_SCHEMA_OPEN_ASKED) != 0, has_few = node->count < node->min_count;
    node->open = (from->flags & BZ_SCHEMA_OPEN) && (from->count == 0 || is_asked || has_few);
    node->item = from->item == BZ_SCHEMA_NONE ? BZ_CALL_NONE : m->base + from->item;
    node->max_open = FORM_OPEN_KEYS;
    const bezel_status status = form_pattern(m, node, from);
    if (status != BEZEL_OK)
        return status;
    const uint32_t needed = node->min_count > node->count ? node->min_count - node->count : 0;
    if (from->pattern_text != NULL && node->pattern == BZ_CALL_NONE && needed == 0)
        node->open = 0; /* keys of another pattern would be wrong */
    if (node->pattern != BZ_CALL_NONE && !bz_call_pattern_goes_on(m->form->patterns[node->pattern]))
        node->max_open = 1; /* there may be no other key */
    if (node->max_open < needed)
        node->max_open = needed;
    return BEZEL_OK;
}

static bezel_status form_object(form_maker *m, bz_call_node *node, const bz_schema_node *from)
{
    node->first = m->n_properties;
    node->count = from->count < BZ_CALL_PROPERTIES ? from->count : BZ_CALL_PROPERTIES;
    node->min_count = form_limit(from->min_count, 0);
    node->max_count = form_limit(from->max_count, UINT32_MAX);
    for (uint32_t i = 0; i < from->count; i++) {
        const bz_schema_property *p = bz_schema_property_at(m->schema, from->first + i);
        if (i >= BZ_CALL_PROPERTIES && p->required)
            return bz_fail(m->err, BEZEL_ERR_LIMIT, "constraint", "%s: property \"%.40s\" is required and beyond the first %u",
                           m->what, p->name, BZ_CALL_PROPERTIES);
        if (i >= BZ_CALL_PROPERTIES)
            continue;
        const bezel_status status = form_property(m, &m->form->properties[m->n_properties + i], p);
        if (status != BEZEL_OK)
            return status;
        if (p->required)
            node->required |= (uint64_t)1 << i;
    }
    m->n_properties += node->count;
    return form_open_keys(m, node, from);
}

static void form_unique(form_maker *m, bz_call_node *node, const bz_schema_node *from)
{
    const bz_schema_node *item = bz_schema_at(m->schema, from->item);
    const int is_listed = item->n_values > 0 || item->kind == BZ_SCHEMA_BOOLEAN;
    const int is_plain = item->kind == BZ_SCHEMA_STRING || item->kind == BZ_SCHEMA_INTEGER || item->kind == BZ_SCHEMA_NUMBER;
    const uint32_t most = (uint32_t)bz_schema_distinct(m->schema, from->item, is_listed ? 65 : BZ_CALL_UNIQUE);
    if (from->count > 0 || (item->flags & BZ_SCHEMA_NULLABLE) || (is_listed ? most > 64 : !is_plain)) {
        form_warn(m, "uniqueItems", "is only checked afterwards");
        return;
    }
    node->unique = is_listed ? 1 : 2;
    if (!is_listed && (item->pattern_text != NULL || item->format != NULL))
        form_warn(m, "uniqueItems", "of texts with a pattern is checked afterwards");
    if (node->max_count > most && node->min_count <= most)
        node->max_count = most;
}

static void form_list(form_maker *m, bz_call_node *node, const bz_schema_node *from)
{
    node->item = from->item == BZ_SCHEMA_NONE ? BZ_CALL_NONE : m->base + from->item;
    node->min_count = form_limit(from->min_count, 0);
    node->max_count =
        form_limit(from->max_count, node->min_count > m->source->max_items ? node->min_count : m->source->max_items);
    form_links(m, node, from);
    if (from->flags & BZ_SCHEMA_UNIQUE)
        form_unique(m, node, from);
}

static bezel_status form_node(form_maker *m, uint32_t i)
{
    const bz_schema_node *from = bz_schema_at(m->schema, i);
    bz_call_node *node = &m->form->nodes[m->base + i];
    m->node = i;
    node->kind = (uint8_t)from->kind;
    node->nullable = (from->flags & BZ_SCHEMA_NULLABLE) != 0;
    node->pattern = BZ_CALL_NONE;
    node->item = BZ_CALL_NONE;
    if (from->n_values > 0)
        return form_enum(m, node, from);
    switch (from->kind) {
    case BZ_SCHEMA_STRING:
        node->min_count = form_limit(from->min_count, 0);
        node->max_count =
            form_limit(from->max_count, node->min_count > m->source->max_string ? node->min_count : m->source->max_string);
        return form_pattern(m, node, from);
    case BZ_SCHEMA_INTEGER:
        form_integer(m, node, from);
        return BEZEL_OK;
    case BZ_SCHEMA_NUMBER:
        form_number(m, node, from);
        return BEZEL_OK;
    case BZ_SCHEMA_ARRAY:
        form_list(m, node, from);
        return BEZEL_OK;
    case BZ_SCHEMA_OBJECT:
        return form_object(m, node, from);
    case BZ_SCHEMA_UNION:
        form_links(m, node, from);
        return BEZEL_OK;
    default:
        return BEZEL_OK;
    }
}

/* ---- how many there are ----------------------------------------------------------------------------------------------- */

static void form_count(form_maker *m, const bz_schema *schema)
{
    const uint32_t n = bz_schema_size(schema);
    m->capacity_nodes += n;
    for (uint32_t i = 0; i < n; i++) {
        const bz_schema_node *node = bz_schema_at(schema, i);
        m->capacity_texts += node->n_values;
        if (node->kind == BZ_SCHEMA_OBJECT)
            m->capacity_properties += node->count;
        if (node->kind == BZ_SCHEMA_UNION || node->kind == BZ_SCHEMA_ARRAY)
            m->capacity_links += node->count;
        if (node->kind == BZ_SCHEMA_STRING || node->kind == BZ_SCHEMA_OBJECT)
            m->form->n_patterns++;
    }
}

static int form_allocate(form_maker *m)
{
    bz_call_form *f = m->form;
    bz_arena *a = &f->arena;
    f->nodes = bz_arena_alloc(a, (m->capacity_nodes + 1) * sizeof *f->nodes);
    f->properties = bz_arena_alloc(a, (m->capacity_properties + 1) * sizeof *f->properties);
    f->links = bz_arena_alloc(a, (m->capacity_links + 1) * sizeof *f->links);
    f->texts = bz_arena_alloc(a, (m->capacity_texts + 1) * sizeof *f->texts);
    f->names = bz_arena_alloc(a, (m->source->n_functions + 1) * sizeof *f->names);
    f->function_nodes = bz_arena_alloc(a, (m->source->n_functions + 1) * sizeof *f->function_nodes);
    f->function_hashes = bz_arena_alloc(a, (m->source->n_functions + 1) * sizeof *f->function_hashes);
    f->patterns = bz_arena_alloc(a, (f->n_patterns + (size_t)1) * sizeof(void *));
    f->n_patterns = 0;
    return f->nodes != NULL && f->properties != NULL && f->links != NULL && f->texts != NULL && f->names != NULL &&
           f->function_nodes != NULL && f->function_hashes != NULL && f->patterns != NULL;
}

/* ---- heights ---------------------------------------------------------------------------------------------------------- */

static uint32_t form_node_height(const bz_call_form *f, uint32_t i)
{
    return i == BZ_CALL_NONE ? 0 : f->nodes[i].height;
}

/* The least height that enough values can do with which are not required, so that there are as many keys as there must be. */
static uint32_t form_optional_height(const bz_call_form *f, const bz_call_node *node)
{
    uint32_t needed = node->min_count, height = 0;
    for (uint32_t i = 0; i < node->count; i++)
        needed -= f->properties[node->first + i].required && needed > 0;
    for (; needed > 0 && height < UINT8_MAX; height++) {
        uint32_t n = node->open && form_node_height(f, node->item) <= height ? node->max_open : 0;
        for (uint32_t i = 0; i < node->count; i++)
            n += !f->properties[node->first + i].required && f->nodes[f->properties[node->first + i].node].height <= height;
        if (n >= needed)
            break;
    }
    return height;
}

static uint32_t form_object_height(const bz_call_form *f, const bz_call_node *node)
{
    uint32_t best = form_optional_height(f, node);
    for (uint32_t i = 0; i < node->count; i++) {
        const bz_call_property *p = &f->properties[node->first + i];
        if (p->required && f->nodes[p->node].height > best)
            best = f->nodes[p->node].height;
    }
    return best;
}

static uint32_t form_height(const bz_call_form *f, const bz_call_node *node)
{
    uint32_t best = 0;
    if (node->nullable || node->n_texts > 0)
        return 0;
    if (node->kind == BZ_SCHEMA_UNION) {
        best = UINT8_MAX;
        for (uint32_t i = 0; i < node->count; i++)
            if (f->nodes[f->links[node->first + i]].height < best)
                best = f->nodes[f->links[node->first + i]].height;
        return best;
    }
    if (node->kind != BZ_SCHEMA_ARRAY && node->kind != BZ_SCHEMA_OBJECT)
        return 0;
    for (uint32_t i = 0; node->kind == BZ_SCHEMA_ARRAY && i < node->min_count && i <= node->count; i++) {
        const uint32_t item = form_node_height(f, i < node->count ? f->links[node->first + i] : node->item);
        best = item > best ? item : best;
    }
    if (node->kind == BZ_SCHEMA_OBJECT)
        best = form_object_height(f, node);
    return best >= UINT8_MAX - 1 ? UINT8_MAX : best + 1;
}

/* From "never ends" down to what is needed, until nothing changes. */
static void form_measure(bz_call_form *f)
{
    for (uint32_t i = 0; i < f->n_nodes; i++)
        f->nodes[i].height = UINT8_MAX;
    for (int changed = 1; changed;) {
        changed = 0;
        for (uint32_t i = f->n_nodes; i-- > 0;) {
            const uint32_t height = form_height(f, &f->nodes[i]);
            if (height < f->nodes[i].height) {
                f->nodes[i].height = (uint8_t)height;
                changed = 1;
            }
        }
    }
}

/* ---- roots ------------------------------------------------------------------------------------------------------------ */

static bezel_status form_schema(form_maker *m, const bz_schema *schema, const char *what)
{
    const uint32_t n = bz_schema_size(schema);
    m->schema = schema;
    m->what = what;
    m->base = m->form->n_nodes;
    m->form->n_nodes += n;
    for (uint32_t i = 0; i < n; i++) {
        const bezel_status status = form_node(m, i);
        if (status != BEZEL_OK)
            return status;
    }
    return BEZEL_OK;
}

static bezel_status form_functions(form_maker *m)
{
    bz_call_form *f = m->form;
    const bz_call_dialect *d = &f->dialect;
    for (size_t i = 0; i < m->source->n_functions; i++) {
        const bz_call_function *from = &m->source->functions[i];
        f->function_nodes[i] = f->n_nodes;
        const bezel_status status = form_schema(m, from->schema, from->name);
        if (status != BEZEL_OK)
            return status;
        bz_strbuf_text(&m->scratch, from->name);
        bz_strbuf_text(&m->scratch, d->args_open);
        if (!form_keep(m, &f->names[i]))
            return form_no_memory(m);
        f->names[i].function = (uint32_t)i;
        if (f->nodes[f->function_nodes[i]].count == 0) {
            const uint64_t hash = bz_call_hash(BZ_CALL_HASH_START, f->names[i].bytes, f->names[i].size);
            f->function_hashes[i] = bz_call_hash(hash, d->args_close, strlen(d->args_close));
        }
    }
    f->n_names = form_sort(f->names, (uint32_t)m->source->n_functions);
    bz_strbuf_text(&m->scratch, d->call_open);
    if (!form_keep(m, &f->first_open))
        return form_no_memory(m);
    f->trigger = f->first_open;
    while (f->trigger.size > 0 && f->trigger.bytes[f->trigger.size - 1] == ' ')
        f->trigger.size--;
    bz_strbuf_text(&m->scratch, d->call_sep);
    bz_strbuf_text(&m->scratch, d->call_open);
    return form_keep(m, &f->next_open) ? BEZEL_OK : form_no_memory(m);
}

static bezel_status form_choices(form_maker *m)
{
    bz_call_form *f = m->form;
    for (size_t i = 0; i < m->source->n_choices; i++) {
        bz_strbuf_text(&m->scratch, m->source->choices[i]);
        if (!form_keep(m, &f->texts[i]))
            return form_no_memory(m);
    }
    f->nodes[0].pattern = BZ_CALL_NONE;
    f->nodes[0].n_texts = form_sort(f->texts, (uint32_t)m->source->n_choices);
    f->n_nodes = 1;
    return BEZEL_OK;
}

static const char *form_height_problem(uint32_t height)
{
    return height == UINT8_MAX ? "the schema requires itself without end" : "the schema nests deeper than constrained text can";
}

/* Leaves out the functions that no text can call. */
static bezel_status form_check_heights(const form_maker *m)
{
    bz_call_form *f = m->form;
    const bz_call_source *s = m->source;
    const int is_calls = f->root == BZ_CALL_ROOT_CALLS;
    uint32_t kept = 0, height = is_calls ? 0 : f->nodes[f->root_node].height;
    const char *what = "answer";
    for (uint32_t i = 0; is_calls && i < f->n_names; i++) {
        const uint32_t needed = f->nodes[f->function_nodes[f->names[i].function]].height;
        if (needed <= BZ_CALL_DEPTH) {
            f->names[kept++] = f->names[i];
            continue;
        }
        what = s->functions[f->names[i].function].name;
        height = needed;
        if (s->warn != NULL)
            s->warn(s->ud, what, "parameters", "required", form_height_problem(needed));
    }
    if (is_calls)
        f->n_names = kept;
    if (is_calls ? kept > 0 : height <= BZ_CALL_DEPTH)
        return BEZEL_OK;
    return bz_error_hint(m->err,
                         bz_fail(m->err, BEZEL_ERR_RANGE, "constraint", "%s: %s (%u levels)", what, form_height_problem(height),
                                 BZ_CALL_DEPTH),
                         "make a property of the recursion optional");
}

static bezel_status form_build(form_maker *m)
{
    const bz_call_source *s = m->source;
    for (size_t i = 0; s->root == BZ_CALL_ROOT_CALLS && i < s->n_functions; i++)
        form_count(m, s->functions[i].schema);
    if (s->root == BZ_CALL_ROOT_VALUE)
        form_count(m, s->value);
    if (s->root == BZ_CALL_ROOT_CHOICE)
        m->capacity_texts = (uint32_t)s->n_choices;
    if (m->capacity_nodes > FORM_NODES)
        return bz_fail(m->err, BEZEL_ERR_LIMIT, "constraint", "the schemas have %u nodes, at most %u can be constrained",
                       m->capacity_nodes, FORM_NODES);
    if (!form_allocate(m))
        return form_no_memory(m);
    const bezel_status status = s->root == BZ_CALL_ROOT_CALLS   ? form_functions(m)
                                : s->root == BZ_CALL_ROOT_VALUE ? form_schema(m, s->value, "answer")
                                                                : form_choices(m);
    if (status != BEZEL_OK)
        return status;
    form_measure(m->form);
    return form_check_heights(m);
}

bezel_status bz_call_form_new(bz_call_form **out, const bezel_world *w, const bz_call_source *source, bezel_error *err)
{
    *out = NULL;
    bz_call_form *f = bz_zalloc(w, sizeof *f);
    if (f == NULL)
        return bz_fail_memory(err, "constraint", "the compiled form", sizeof *f);
    f->world = w;
    f->dialect = *source->dialect;
    f->root = source->root;
    f->any_order = source->any_order;
    f->max_calls = source->max_calls;
    bz_arena_init(&f->arena, w, 0);
    form_maker m;
    memset(&m, 0, sizeof m);
    m.form = f;
    m.source = source;
    m.err = err;
    bz_strbuf_init(&m.scratch, w, 0);
    const bezel_status status = form_build(&m);
    bz_strbuf_free(&m.scratch);
    if (status != BEZEL_OK)
        bz_call_form_free(f);
    else
        *out = f;
    return status;
}

void bz_call_form_free(bz_call_form *form)
{
    if (form == NULL)
        return;
    bz_arena_free(&form->arena);
    bz_free(form->world, form);
}
