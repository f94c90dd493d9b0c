/* SPDX-License-Identifier: MIT */
/* Purpose: one vocabulary for the tests of core/text, small enough to work merges out by hand: scores fall in the order
 * of the list, as in Gemma's file. */
#include "support/small_vocab.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

static const char *const small_control[] = {"<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>", "<unused0>"};
static const char *const small_user[] = {"[multimodal]", "<start_of_image>", "<end_of_image>", "\n", "\n\n", "\n\n\n",
                                         "\n\n\n\n", "  ", "   ", "    ", "\t", "</s>", "<b>"};
/* U+2581 is written \342\226\201 so that the bytes are plain to see. */
static const char *const small_pieces[] = {
    "he", "ll", "\342\226\201he", "llo", "\342\226\201hello", "\342\226\201w", "or", "ld", "orld", "\342\226\201world", "aa",
    "aaaa", "ab", "bc", "Us", "er", "User", "\342\226\201a", "</", ">\342\226\201</", "\342\226\201</", "\303\251", "\346\227\245",
    "\346\234\254", "\346\227\245\346\234\254", "\342\226\201"};

int32_t small_vocab_add(small_vocab *s, const char *text, int32_t type, float score)
{
    size_t i = s->source.n_tokens++;
    ck_assert_uint_lt(i, SMALL_VOCAB_MAX);
    s->texts[i] = text;
    s->sizes[i] = (uint32_t)strlen(text);
    s->types[i] = type;
    s->scores[i] = score;
    return (int32_t)i;
}

void small_vocab_init(small_vocab *s)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzUARF_<>/:.,!0123456789";
    static char singles[sizeof letters][2];
    memset(s, 0, sizeof *s);
    s->source = (small_vocab_source){0, s->texts, s->sizes, s->scores, s->types, 2, 1, 3, 0, -1, 1, 0};
    for (size_t i = 0; i < sizeof small_control / sizeof *small_control; i++)
        small_vocab_add(s, small_control[i], BZ_TOKEN_CONTROL, -1000.0f);
    for (size_t i = 0; i < sizeof small_user / sizeof *small_user; i++)
        small_vocab_add(s, small_user[i], BZ_TOKEN_USER_DEFINED, -1000.0f);
    for (unsigned b = 0; b < 256; b++) {
        snprintf(s->bytes[b], sizeof s->bytes[b], "<0x%02X>", b);
        small_vocab_add(s, s->bytes[b], BZ_TOKEN_BYTE, 0.0f);
    }
    for (size_t i = 0; i < sizeof small_pieces / sizeof *small_pieces; i++)
        small_vocab_add(s, small_pieces[i], BZ_TOKEN_NORMAL, -(float)i);
    for (size_t i = 0; letters[i]; i++) {
        singles[i][0] = letters[i];
        small_vocab_add(s, singles[i], BZ_TOKEN_NORMAL, -100.0f - (float)i);
    }
}

bezel_status small_vocab_make(bz_vocab **out, const bezel_world *w, bz_log *log, bz_thread_pool *pool,
                              const small_vocab_source *source, bezel_error *err)
{
    enum { BATCH = 1000 };
    bz_vocab_item items[BATCH];
    const bz_vocab_facts facts = {source->n_tokens, source->types != NULL, source->bos, source->eos, source->unk,
                                  source->pad, source->eot, source->add_bos, source->add_space_prefix, NULL, 0};
    bezel_status st = bz_vocab_begin(out, w, &facts, err);
    for (size_t i = 0; i < source->n_tokens && st == BEZEL_OK; i += BATCH) {
        size_t n = 0;
        for (; n < BATCH && i + n < source->n_tokens; n++)
            items[n] = (bz_vocab_item){source->texts[i + n], source->text_sizes[i + n],
                                       source->scores ? source->scores[i + n] : 0.0f, source->types ? source->types[i + n] : 0};
        st = bz_vocab_add(*out, items, n, pool, err);
    }
    if (st == BEZEL_OK)
        st = bz_vocab_finish(*out, log, err);
    if (st != BEZEL_OK) {
        bz_vocab_free(*out);
        *out = NULL;
    }
    return st;
}

bz_vocab *small_vocab_build(small_vocab *s, const bezel_world *w)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bz_vocab *v = NULL;
    bezel_status st = small_vocab_make(&v, w, NULL, NULL, &s->source, &err);
    ck_assert_msg(st == BEZEL_OK, "%s", err.text);
    return v;
}

const char *small_vocab_spell(bz_strbuf *out, const bz_vocab *v, const char *text, size_t size, int special)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bz_ids ids;
    bz_ids_init(&ids, out->world);
    bezel_status st = bz_tokenize(&ids, v, text, size, special, &err);
    ck_assert_msg(st == BEZEL_OK, "%s", err.text);
    bz_strbuf_reset(out);
    for (size_t i = 0; i < ids.count; i++) {
        size_t n;
        const char *piece = bz_vocab_text(v, ids.ids[i], &n);
        if (i)
            bz_strbuf_char(out, '|');
        bz_strbuf_add(out, piece, n);
    }
    bz_ids_free(&ids);
    return bz_strbuf_cstr(out);
}
