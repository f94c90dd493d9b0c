/* SPDX-License-Identifier: MIT */
/* Purpose: messages to ids with the vocabulary of a model. Invariant: a control or structure id comes only from the
 * marks of the profile; the text between two of them is encoded as one string that cannot spell any. Not here: the form
 * of the text (text/chat_template.c). */
#include <bezel/chat.h>

#include "base/alloc.h"
#include "base/status.h"
#include "model/model_impl.h"
#include "text/chat_template.h"
#include "text/tokenizer_impl.h"
#include "text/vocab.h"

#include <string.h>

#define PROMPT_ORIGIN "chat"

struct bezel_prompt {
    bz_chat_text chat;
    bz_ids ids;
};

const bezel_profile *bezel_profile_of(const bezel_model *model)
{
    if (model->kind != BEZEL_KIND_INSTRUCT)
        return bezel_profile_find("transcript");
    if (bz_vocab_find(model->vocab, "<start_function_call>", 21) >= 0)
        return bezel_profile_find("functiongemma");
    if (bz_vocab_find(model->vocab, "<|tool_call>", 12) >= 0 && bz_vocab_find(model->vocab, "<|turn>", 7) >= 0)
        return bezel_profile_find("gemma4");
    const char *arch = model->config.arch;
    return bezel_profile_find(!strcmp(arch, "gemma") || !strcmp(arch, "gemma2") ? "gemma2" : "gemma3");
}

/* Looks through one mark for structure; each hit ends a string that is encoded as a whole. */
static bezel_status prompt_encode_mark(bezel_prompt *p, const bz_vocab *v, size_t *begin, size_t i, size_t end,
                                       bezel_error *err)
{
    const char *text = p->chat.text.data;
    bezel_status st = BEZEL_OK;
    while (i < end && !st) {
        int32_t id;
        size_t n = bz_vocab_match(&id, v, text + i, end - i, 1);
        if (!n || !bz_vocab_is_structure(v, id)) {
            i++;
            continue;
        }
        st = bz_tokenize(&p->ids, v, text + *begin, i - *begin, 0, err);
        bz_ids_add(&p->ids, id);
        i += n;
        *begin = i;
    }
    return st;
}

static bezel_status prompt_encode(bezel_prompt *p, const bz_vocab *v, bezel_error *err)
{
    size_t begin = 0;
    bezel_status st = BEZEL_OK;
    for (size_t m = 0; m < p->chat.n_marks && !st; m++)
        st = prompt_encode_mark(p, v, &begin, p->chat.marks[2 * m], p->chat.marks[2 * m + 1], err);
    if (!st && begin < p->chat.text.size)
        st = bz_tokenize(&p->ids, v, p->chat.text.data + begin, p->chat.text.size - begin, 0, err);
    if (!st && p->ids.status)
        st = bz_fail_memory(err, PROMPT_ORIGIN, "the ids of the prompt", p->ids.capacity * 2 * sizeof *p->ids.ids);
    return st;
}

bezel_status bezel_prompt_render(bezel_prompt **out, const bezel_model *model, const bezel_profile *profile,
                                 const bezel_message *messages, size_t count, int32_t generation_prompt, bezel_error *err)
{
    if (!out || !model)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, PROMPT_ORIGIN, "%s is NULL", out ? "model" : "out");
    *out = NULL;
    const bezel_world *w = &model->engine->world;
    bezel_prompt *p = bz_zalloc(w, sizeof *p);
    if (!p)
        return bz_fail_memory(err, PROMPT_ORIGIN, "the prompt", sizeof *p);
    bz_chat_text_init(&p->chat, w);
    bz_ids_init(&p->ids, w);
    bezel_status st = bz_chat_render(&p->chat, profile ? profile : bezel_profile_of(model), messages, count,
                                     generation_prompt, err);
    if (!st)
        st = prompt_encode(p, model->vocab, err);
    if (st) {
        bezel_prompt_free(p);
        return st;
    }
    *out = p;
    return BEZEL_OK;
}

void bezel_prompt_free(bezel_prompt *prompt)
{
    if (!prompt)
        return;
    const bezel_world *w = prompt->ids.world;
    bz_chat_text_free(&prompt->chat);
    bz_ids_free(&prompt->ids);
    bz_free(w, prompt);
}

const char *bezel_prompt_text(const bezel_prompt *prompt, size_t *out_size)
{
    if (out_size)
        *out_size = prompt->chat.text.size;
    return bz_strbuf_cstr(&prompt->chat.text);
}

const int32_t *bezel_prompt_ids(const bezel_prompt *prompt, size_t *out_count)
{
    if (out_count)
        *out_count = prompt->ids.count;
    return prompt->ids.ids;
}
