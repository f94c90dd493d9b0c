/* SPDX-License-Identifier: MIT */
/* Metadata to bz_config. Invariant: after BEZEL_OK every number is in a range in which the shapes of the weight map and
 * the buffers of the decoder cannot overflow 64 bits, H is a multiple of Hkv, Dh and D are even. Tensors are not looked
 * at; that they agree with these numbers is the weight map's to check. */
#include "model/config.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define CONFIG_MAX_WIDTH (1u << 18)
#define CONFIG_MAX_FEED_FORWARD (1u << 22)
#define CONFIG_MAX_HEADS 4096u
#define CONFIG_MAX_HEAD_WIDTH 4096u
#define CONFIG_MAX_VOCABULARY 2000000u

typedef struct config_reader {
    bz_config *c;
    const bz_gguf *g;
    const bz_family *family;
    bz_notes *notes;
    bezel_error *err;
    char key[96];
} config_reader;

/* Value of "ARCH.suffix", NULL when absent. */
static const bz_gguf_value *config_find(config_reader *r, const char *suffix)
{
    snprintf(r->key, sizeof r->key, "%s.%s", r->c->arch, suffix);
    return bz_gguf_find(r->g, r->key);
}

static bezel_status config_missing(config_reader *r)
{
    bz_fail(r->err, BEZEL_ERR_MISSING, "config", "%s: key \"%s\" is missing", r->g->name, r->key);
    bz_error_hint(r->err, BEZEL_ERR_MISSING, "Convert the model again; every converter for this family writes the key.");
    return bz_error_place(r->err, BEZEL_ERR_MISSING, "%s", r->key);
}

static bezel_status config_limit(config_reader *r, const bz_gguf_value *v, uint64_t n, uint64_t low, uint64_t high,
                                 bezel_status outside)
{
    if (n >= low && n <= high)
        return BEZEL_OK;
    return bz_gguf_value_fail(r->err, outside, r->g, v, "is %" PRIu64 ", expected %" PRIu64 " to %" PRIu64, n, low, high);
}

/* A number, or a list of one number a layer that are all equal. */
static bezel_status config_layer_number(config_reader *r, const bz_gguf_value *v, uint64_t *out)
{
    int64_t first = 0, item = 0;
    bezel_status status = BEZEL_OK;
    if (v->type != BZ_GGUF_ARRAY)
        return bz_gguf_uint(out, r->g, v, r->err);
    if (v->count != r->c->n_layers)
        return bz_gguf_value_fail(r->err, BEZEL_ERR_SHAPE, r->g, v, "has %" PRIu64 " items for %" PRIu32 " layers",
                                  v->count, r->c->n_layers);
    for (uint64_t i = 0; i < v->count && status == BEZEL_OK; i++) {
        status = bz_gguf_item(&item, r->g, v, i, r->err);
        if (i == 0)
            first = item;
        if (status == BEZEL_OK && item < 0)
            status = bz_gguf_value_fail(r->err, BEZEL_ERR_RANGE, r->g, v, "has the negative item %" PRId64, item);
        if (status == BEZEL_OK && item != first)
            status = bz_gguf_value_fail(r->err, BEZEL_ERR_UNSUPPORTED, r->g, v, "differs from layer to layer");
    }
    *out = (uint64_t)first;
    return status;
}

typedef struct config_number {
    const char *suffix;
    uint32_t low, high;
    bezel_status outside; /* BEZEL_ERR_RANGE or BEZEL_ERR_SHAPE */
    int64_t fallback;     /* when absent; -1 = required */
} config_number;

static bezel_status config_uint(config_reader *r, uint32_t *out, const config_number *n)
{
    const bz_gguf_value *v = config_find(r, n->suffix);
    uint64_t found = 0;
    bezel_status status;
    if (!v && n->fallback < 0)
        return config_missing(r);
    if (!v) {
        *out = (uint32_t)n->fallback;
        return BEZEL_OK;
    }
    status = config_layer_number(r, v, &found);
    if (status == BEZEL_OK)
        status = config_limit(r, v, found, n->low, n->high, n->outside);
    *out = (uint32_t)found;
    return status;
}

/* fallback when absent; else low <= x <= high. */
static bezel_status config_float(config_reader *r, float *out, const char *suffix, float fallback, float low, float high)
{
    const bz_gguf_value *v = config_find(r, suffix);
    double x = 0;
    bezel_status status;
    *out = fallback;
    if (!v)
        return BEZEL_OK;
    status = bz_gguf_float(&x, r->g, v, r->err);
    if (status == BEZEL_OK && !(x >= (double)low && x <= (double)high))
        status = bz_gguf_value_fail(r->err, BEZEL_ERR_RANGE, r->g, v, "is %g, expected %g to %g", x, (double)low,
                                    (double)high);
    *out = (float)x;
    return status;
}

/* --- Parts -------------------------------------------------------------------------------- */

static bezel_status config_general_type(config_reader *r)
{
    const bz_gguf_value *v = bz_gguf_find(r->g, "general.type");
    const char *text = "";
    size_t size = 0;
    bezel_status status = v ? bz_gguf_text(&text, &size, r->g, v, r->err) : BEZEL_OK;
    if (status != BEZEL_OK || !v || (size == 5 && memcmp(text, "model", 5) == 0))
        return status;
    status = bz_gguf_value_fail(r->err, BEZEL_ERR_UNSUPPORTED, r->g, v, "is \"%.*s\", expected \"model\"",
                                size < 64 ? (int)size : 64, text);
    return bz_error_hint(r->err, status, "This file is an addition to a model; open the model itself.");
}

static bezel_status config_arch(config_reader *r)
{
    const bz_gguf_value *v = bz_gguf_find(r->g, "general.architecture");
    const char *text = "";
    char names[128];
    size_t size = 0;
    bezel_status status;
    if (!v) {
        snprintf(r->key, sizeof r->key, "general.architecture");
        return config_missing(r);
    }
    status = bz_gguf_text(&text, &size, r->g, v, r->err);
    if (status != BEZEL_OK)
        return status;
    r->family = bz_family_find(text, size);
    if (!r->family) {
        bz_family_names(names, sizeof names);
        status = bz_gguf_value_fail(r->err, BEZEL_ERR_UNSUPPORTED, r->g, v, "is \"%.*s\", this build knows %s",
                                    size < 64 ? (int)size : 64, text, names);
        return bz_error_hint(r->err, status, "Use a model of one of these families.");
    }
    snprintf(r->c->arch, sizeof r->c->arch, "%s", r->family->arch);
    return BEZEL_OK;
}

static bezel_status config_name(config_reader *r)
{
    const bz_gguf_value *v = bz_gguf_find(r->g, "general.name");
    const char *text = "";
    size_t size = 0;
    bezel_status status = v ? bz_gguf_text(&text, &size, r->g, v, r->err) : BEZEL_OK;
    if (status == BEZEL_OK)
        bz_text_clean(r->c->name, sizeof r->c->name, text, size);
    return status;
}

static bezel_status config_sizes(config_reader *r)
{
    static const config_number layers = {"block_count", 1, BZ_MAX_LAYERS, BEZEL_ERR_RANGE, -1};
    static const config_number context = {"context_length", 1, UINT32_MAX, BEZEL_ERR_RANGE, -1};
    static const config_number width = {"embedding_length", 2, CONFIG_MAX_WIDTH, BEZEL_ERR_SHAPE, -1};
    static const config_number feed_forward = {"feed_forward_length", 1, CONFIG_MAX_FEED_FORWARD, BEZEL_ERR_RANGE, -1};
    bz_config *c = r->c;
    bezel_status status = config_uint(r, &c->n_layers, &layers);
    if (status == BEZEL_OK)
        status = config_uint(r, &c->n_ctx, &context);
    if (status == BEZEL_OK)
        status = config_uint(r, &c->D, &width);
    if (status == BEZEL_OK && c->D % 2 != 0)
        status = bz_gguf_value_fail(r->err, BEZEL_ERR_SHAPE, r->g, config_find(r, width.suffix),
                                    "is %" PRIu32 ", expected an even number", c->D);
    if (status == BEZEL_OK)
        status = config_uint(r, &c->F, &feed_forward);
    return status;
}

static bezel_status config_heads(config_reader *r)
{
    static const config_number heads = {"attention.head_count", 1, CONFIG_MAX_HEADS, BEZEL_ERR_RANGE, -1};
    static const config_number key_width = {"attention.key_length", 2, CONFIG_MAX_HEAD_WIDTH, BEZEL_ERR_RANGE, -1};
    config_number kv_heads = {"attention.head_count_kv", 1, 0, BEZEL_ERR_RANGE, 0};
    config_number value_width = {"attention.value_length", 1, UINT32_MAX, BEZEL_ERR_RANGE, 0};
    bz_config *c = r->c;
    uint32_t value = 0;
    bezel_status status = config_uint(r, &c->H, &heads);
    if (status != BEZEL_OK)
        return status;
    kv_heads.high = c->H;
    kv_heads.fallback = c->H;
    status = config_uint(r, &c->Hkv, &kv_heads);
    if (status == BEZEL_OK && c->H % c->Hkv != 0)
        status = bz_gguf_value_fail(r->err, BEZEL_ERR_RANGE, r->g, config_find(r, kv_heads.suffix),
                                    "is %" PRIu32 ", no divisor of the %" PRIu32 " heads", c->Hkv, c->H);
    if (status == BEZEL_OK) /* never derived as D / H: Gemma's heads are wider */
        status = config_uint(r, &c->Dh, &key_width);
    if (status == BEZEL_OK && c->Dh % 2 != 0)
        status = bz_gguf_value_fail(r->err, BEZEL_ERR_RANGE, r->g, config_find(r, key_width.suffix),
                                    "is %" PRIu32 ", expected an even number", c->Dh);
    value_width.fallback = c->Dh;
    if (status == BEZEL_OK)
        status = config_uint(r, &value, &value_width);
    if (status == BEZEL_OK && value != c->Dh)
        status = bz_gguf_value_fail(r->err, BEZEL_ERR_UNSUPPORTED, r->g, config_find(r, value_width.suffix),
                                    "is %" PRIu32 ", keys have %" PRIu32 "; only equal widths are supported", value, c->Dh);
    return status;
}

/* Which layers see the whole context, from a period or a list of one truth a layer (1 = local). */
static bezel_status config_pattern(config_reader *r)
{
    const bz_gguf_value *v = config_find(r, "attention.sliding_window_pattern");
    bz_config *c = r->c;
    uint64_t period = r->family->period;
    bezel_status status = BEZEL_OK;
    if (v && v->type == BZ_GGUF_ARRAY) {
        if (v->count != c->n_layers)
            return bz_gguf_value_fail(r->err, BEZEL_ERR_SHAPE, r->g, v, "has %" PRIu64 " items for %" PRIu32 " layers",
                                      v->count, c->n_layers);
        for (uint32_t l = 0; l < c->n_layers && status == BEZEL_OK; l++) {
            int64_t is_local = 0;
            status = bz_gguf_item(&is_local, r->g, v, l, r->err);
            c->is_global[l] = is_local == 0;
        }
        return status;
    }
    if (v) {
        status = bz_gguf_uint(&period, r->g, v, r->err);
        if (status == BEZEL_OK)
            status = config_limit(r, v, period, 1, BZ_MAX_LAYERS, BEZEL_ERR_RANGE);
    }
    for (uint32_t l = 0; l < c->n_layers && status == BEZEL_OK; l++)
        c->is_global[l] = period == 0 || (l + 1) % period == 0;
    return status;
}

static bezel_status config_window(config_reader *r)
{
    bz_config *c = r->c;
    const bz_gguf_value *v = config_find(r, "attention.sliding_window");
    uint64_t window = r->family->default_window;
    uint32_t n_local = 0;
    bezel_status status = config_pattern(r);
    if (status != BEZEL_OK)
        return status;
    for (uint32_t l = 0; l < c->n_layers; l++)
        n_local += !c->is_global[l];
    if (v) {
        status = bz_gguf_uint(&window, r->g, v, r->err);
        if (status == BEZEL_OK)
            status = config_limit(r, v, window, 1, c->n_ctx, BEZEL_ERR_RANGE);
    } else if (window > c->n_ctx) {
        window = c->n_ctx; /* the family's window in a file of a shorter context */
    }
    if (status == BEZEL_OK && n_local > 0 && window == 0) {
        config_find(r, "attention.sliding_window");
        return config_missing(r);
    }
    c->window = n_local > 0 ? (uint32_t)window : 0;
    return status;
}

static bezel_status config_rope_scaling(config_reader *r)
{
    const bz_gguf_value *v = config_find(r, "rope.scaling.type");
    const char *text = "linear";
    size_t size = 6;
    bezel_status status = v ? bz_gguf_text(&text, &size, r->g, v, r->err) : BEZEL_OK;
    r->c->rope_factor_global = 1.0f;
    if (status != BEZEL_OK || (size == 4 && memcmp(text, "none", 4) == 0))
        return status;
    if (size != 6 || memcmp(text, "linear", 6) != 0)
        return bz_gguf_value_fail(r->err, BEZEL_ERR_UNSUPPORTED, r->g, v, "is \"%.*s\", this build knows none and linear",
                                  size < 64 ? (int)size : 64, text);
    return config_float(r, &r->c->rope_factor_global, "rope.scaling.factor", 1.0f, 1e-3f, 1e6f);
}

static bezel_status config_rope(config_reader *r)
{
    config_number dims = {"rope.dimension_count", 2, r->c->Dh, BEZEL_ERR_RANGE, r->c->Dh};
    uint32_t n = 0;
    bezel_status status = config_uint(r, &n, &dims);
    if (status == BEZEL_OK && n % 2 != 0)
        status = bz_gguf_value_fail(r->err, BEZEL_ERR_RANGE, r->g, config_find(r, dims.suffix),
                                    "is %" PRIu32 ", expected an even number", n);
    if (status == BEZEL_OK && n != r->c->Dh)
        status = bz_gguf_value_fail(r->err, BEZEL_ERR_UNSUPPORTED, r->g, config_find(r, dims.suffix),
                                    "is %" PRIu32 ", heads have %" PRIu32 "; only whole heads are rotated", n, r->c->Dh);
    if (status == BEZEL_OK)
        status = config_float(r, &r->c->rope_base_global, "rope.freq_base", r->family->rope_base_global, 1.0f, 1e12f);
    if (status == BEZEL_OK) /* usually absent: local layers keep 10,000 and never take the global base */
        status = config_float(r, &r->c->rope_base_local, "rope.freq_base_swa", r->family->rope_base_local, 1.0f, 1e12f);
    return status == BEZEL_OK ? config_rope_scaling(r) : status;
}

static bezel_status config_scales(config_reader *r, int bf16_embedding_scale)
{
    bz_config *c = r->c;
    int wide = r->family->wide_layers != 0 && c->n_layers == r->family->wide_layers;
    bezel_status status = config_float(r, &c->eps, "attention.layer_norm_rms_epsilon", 1e-6f, 1e-12f, 0.1f);
    if (status == BEZEL_OK)
        status = config_float(r, &c->attn_softcap, "attn_logit_softcapping", r->family->attn_softcap, 0.0f, 1e6f);
    if (status == BEZEL_OK)
        status = config_float(r, &c->final_softcap, "final_logit_softcapping", r->family->final_softcap, 0.0f, 1e6f);
    c->score_scale = (float)(1.0 / sqrt(wide ? (double)c->D / (double)c->H : (double)c->Dh));
    c->embed_scale = sqrtf((float)c->D);
    if (bf16_embedding_scale) { /* round to nearest even at bit 16; sqrt(D) is finite and positive */
        uint32_t bits;
        memcpy(&bits, &c->embed_scale, sizeof bits);
        bits = (bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000u;
        memcpy(&c->embed_scale, &bits, sizeof bits);
    }
    return status;
}

static bezel_status config_vocabulary(config_reader *r)
{
    const bz_gguf_value *v = bz_gguf_find(r->g, "tokenizer.ggml.tokens");
    const bz_gguf_value *named;
    uint64_t n = 0;
    bezel_status status;
    if (!v) {
        snprintf(r->key, sizeof r->key, "tokenizer.ggml.tokens");
        return config_missing(r);
    }
    if (v->type != BZ_GGUF_ARRAY || v->item_type != BZ_GGUF_TEXT)
        return bz_gguf_value_fail(r->err, BEZEL_ERR_TYPE, r->g, v, "has type %s, expected an array of texts",
                                  bz_gguf_type_name(v->type));
    status = config_limit(r, v, v->count, 2, CONFIG_MAX_VOCABULARY, BEZEL_ERR_RANGE);
    if (status != BEZEL_OK)
        return status;
    r->c->V = (uint32_t)v->count;
    named = config_find(r, "vocab_size");
    status = named ? bz_gguf_uint(&n, r->g, named, r->err) : BEZEL_OK;
    if (status == BEZEL_OK && named && n != r->c->V && r->notes)
        bz_notes_add(r->notes, "config", "%s: vocab_size is %" PRIu64 ", the token list has %" PRIu32 "; the list counts",
                     r->g->name, n, r->c->V);
    return status;
}

/* A key under the family's own name that nothing here reads may mean a model that works differently: remarked. */
static void config_note_unknown(config_reader *r)
{
    static const char *const known[] = {"block_count", "context_length", "embedding_length", "feed_forward_length",
                                        "vocab_size", "attention.head_count", "attention.head_count_kv",
                                        "attention.key_length", "attention.value_length", "attention.sliding_window",
                                        "attention.sliding_window_pattern", "attention.layer_norm_rms_epsilon",
                                        "attn_logit_softcapping", "final_logit_softcapping", "rope.dimension_count",
                                        "rope.freq_base", "rope.freq_base_swa", "rope.scaling.type", "rope.scaling.factor"};
    size_t prefix = strlen(r->c->arch);
    if (!r->notes)
        return;
    for (uint32_t i = 0; i < r->g->n_values; i++) {
        const bz_gguf_value *v = &r->g->values[i];
        const char *key = bz_gguf_key(r->g, v);
        size_t k, n = sizeof known / sizeof known[0];
        if (v->key_size <= prefix || key[prefix] != '.' || memcmp(key, r->c->arch, prefix) != 0)
            continue;
        for (k = 0; k < n; k++) {
            if (strlen(known[k]) == v->key_size - prefix - 1 && memcmp(known[k], key + prefix + 1, strlen(known[k])) == 0)
                break;
        }
        if (k == n)
            bz_notes_add(r->notes, "config", "%s: key \"%.*s\" is not known and has no effect", r->g->name,
                         v->key_size < 128 ? (int)v->key_size : 128, key);
    }
}

/* --- Public ------------------------------------------------------------------------------- */

bezel_status bz_config_read(bz_config *out, const bz_gguf *g, int bf16_embedding_scale, bz_notes *notes, bezel_error *err)
{
    config_reader r = {out, g, NULL, notes, err, ""};
    bezel_status status;
    memset(out, 0, sizeof *out);
    status = config_general_type(&r);
    if (status == BEZEL_OK)
        status = config_arch(&r);
    if (status == BEZEL_OK)
        status = config_name(&r);
    if (status == BEZEL_OK)
        status = config_sizes(&r);
    if (status == BEZEL_OK)
        status = config_heads(&r);
    if (status == BEZEL_OK)
        status = config_window(&r);
    if (status == BEZEL_OK)
        status = config_rope(&r);
    if (status == BEZEL_OK)
        status = config_scales(&r, bf16_embedding_scale);
    if (status == BEZEL_OK)
        status = config_vocabulary(&r);
    if (status == BEZEL_OK)
        config_note_unknown(&r);
    return status;
}
