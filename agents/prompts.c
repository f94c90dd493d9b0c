/* SPDX-License-Identifier: MIT */
/* Prompts as messages (R15, R18, R19). All texts are here, in one table; nothing else of the library has a text for a model but
 * the profiles of tools. It renders nothing. */
#include <bezel/prompts.h>

#include "base/alloc.h"
#include "base/status.h"
#include "base/strbuf.h"
#include "base/value_impl.h"

#include <string.h>

static const bezel_prompts_row builtin[] = {
    {BEZEL_PROMPTS_TASK, 0, "analysis",
     "You analyse images with care. Look at the whole image before you answer, and write clear sections:\n"
     "1. Elements: what there is to see, objects, people, text, colours and where they are.\n"
     "2. Context: what the setting, the time and the relation of the elements tell.\n"
     "3. Implications: what follows from it, and what cannot be known from the image alone."},
    {BEZEL_PROMPTS_TASK, 0, "comparison",
     "You compare images systematically. Go through the same points for each of them:\n"
     "1. Similarities: what they have in common in content, structure and style.\n"
     "2. Differences: what sets them apart, point by point, naming the image.\n"
     "3. Conclusion: which of these matter for the question."},
    {BEZEL_PROMPTS_CULTURE, 0, "japanese",
     "Use polite language and honorifics where they belong. Avoid confrontation and blunt refusals; suggest, and leave room. Value "
     "the harmony of the group over the individual."},
    {BEZEL_PROMPTS_CULTURE, 0, "american",
     "Be direct and practical. Say first what is to be done and what the individual gains from it. A casual, friendly tone is "
     "welcome."},
    {BEZEL_PROMPTS_CULTURE, 0, "german",
     "Be precise and thorough. Give facts, reasons and their order, and keep a professional tone without exaggeration."},
    {BEZEL_PROMPTS_CULTURE, 0, "brazilian",
     "Be warm and personable. Speak to the person, include everybody, and give weight to relations and the social side of a matter."},
    {BEZEL_PROMPTS_CULTURE, 0, "indian",
     "Respect hierarchy and age. Mind the diversity of regions, languages and customs, and answer comprehensively."},
    {BEZEL_PROMPTS_STYLE, 0, "formal", "Write formally: complete sentences, respectful address, no slang."},
    {BEZEL_PROMPTS_STYLE, 0, "casual", "Write casually: short sentences, everyday words, as among people who know each other."},
    {BEZEL_PROMPTS_STYLE, 0, "educational",
     "Write to teach: explain terms, go step by step, give an example and say why."},
};

const bezel_prompts_row *bezel_prompts_builtin(size_t i)
{
    return i < sizeof builtin / sizeof *builtin ? &builtin[i] : NULL;
}

static int prompts_same(const char *a, const char *b)
{
    for (; *a && *b; a++, b++) {
        const char x = *a >= 'A' && *a <= 'Z' ? (char)(*a + 32) : *a, y = *b >= 'A' && *b <= 'Z' ? (char)(*b + 32) : *b;
        if (x != y)
            return 0;
    }
    return *a == *b;
}

static const char *prompts_find(uint32_t kind, const char *name, const bezel_prompts_rows *own)
{
    for (size_t i = 0; own != NULL && i < own->n_rows; i++) {
        if (own->rows[i].kind == kind && prompts_same(own->rows[i].name, name))
            return own->rows[i].text;
    }
    for (size_t i = 0; i < sizeof builtin / sizeof *builtin; i++) {
        if (builtin[i].kind == kind && prompts_same(builtin[i].name, name))
            return builtin[i].text;
    }
    return NULL;
}

static bezel_status prompts_unknown(const char *kind, const char *name, bezel_error *err)
{
    bezel_status st = bz_fail(err, BEZEL_ERR_MISSING, "prompts", "no %s is called \"%.64s\"", kind, name);
    bz_error_place(err, st, "%s", name);
    return bz_error_hint(err, st, "bezel_prompts_builtin lists those that there are; a row of your own adds one");
}

/* Both texts into the tree. */
static bezel_status prompts_give(bezel_message out[2], bezel_tree *tree, bz_strbuf *system, bz_strbuf *user, bezel_error *err)
{
    bezel_status st = system->status != BEZEL_OK ? system->status : user->status;
    const bz_strbuf *const texts[] = {system, user};
    for (int i = 0; st == BEZEL_OK && i < 2; i++) {
        const bezel_value *text = bezel_tree_text(tree, bz_strbuf_cstr(texts[i]), texts[i]->size);
        out[i] = (bezel_message){.size = sizeof *out, .role = i == 0 ? BEZEL_ROLE_SYSTEM : BEZEL_ROLE_USER};
        out[i].text = bezel_value_text(text, &out[i].text_size);
        st = bezel_tree_status(tree);
    }
    bz_strbuf_free(system);
    bz_strbuf_free(user);
    if (st == BEZEL_OK)
        return BEZEL_OK;
    memset(out, 0, 2 * sizeof *out);
    return bz_fail(err, st, "prompts", "no room for a prompt");
}

static void prompts_begin(bz_strbuf *system, bz_strbuf *user, const bezel_tree *tree)
{
    bz_strbuf_init(system, tree->world, 0);
    bz_strbuf_init(user, tree->world, 0);
}

bezel_status bezel_prompts_image(bezel_message out[2], bezel_tree *tree, const char *task, const char *question, const char *context,
                                 const bezel_prompts_rows *own, bezel_error *err)
{
    bz_strbuf system, user;
    const char *text = prompts_find(BEZEL_PROMPTS_TASK, task, own);
    memset(out, 0, 2 * sizeof *out);
    if (text == NULL)
        return prompts_unknown("task", task, err);
    prompts_begin(&system, &user, tree);
    bz_strbuf_text(&system, text);
    bz_strbuf_text(&user, question);
    if (context != NULL && context[0]) {
        bz_strbuf_text(&user, "\n\nAdditional context: ");
        bz_strbuf_text(&user, context);
    }
    return prompts_give(out, tree, &system, &user, err);
}

bezel_status bezel_prompts_culture(bezel_message out[2], bezel_tree *tree, const char *culture, const char *style,
                                   const char *request, const bezel_prompts_rows *own, bezel_error *err)
{
    bz_strbuf system, user;
    const char *guideline = prompts_find(BEZEL_PROMPTS_CULTURE, culture, own);
    const char *manner = style != NULL ? prompts_find(BEZEL_PROMPTS_STYLE, style, own) : NULL;
    memset(out, 0, 2 * sizeof *out);
    if (guideline == NULL)
        return prompts_unknown("culture", culture, err);
    if (manner == NULL)
        manner = prompts_find(BEZEL_PROMPTS_STYLE, "formal", own);
    prompts_begin(&system, &user, tree);
    bz_strbuf_text(&system, "You are a helpful assistant whose answers suit the culture of the reader.\n\nCultural guideline (");
    bz_strbuf_text(&system, culture);
    bz_strbuf_text(&system, "): ");
    bz_strbuf_text(&system, guideline);
    bz_strbuf_text(&system, "\nStyle: ");
    bz_strbuf_text(&system, manner);
    bz_strbuf_text(&system, "\nAnswer in the language of the request.");
    bz_strbuf_text(&user, request);
    return prompts_give(out, tree, &system, &user, err);
}

bezel_status bezel_prompts_functions(bezel_message out[2], bezel_tree *tree, const bezel_toolset *tools,
                                     const bezel_tool_profile *profile, const char *request, const char *context, bezel_error *err)
{
    bz_strbuf system, user;
    char *text = NULL;
    size_t size = 0;
    memset(out, 0, 2 * sizeof *out);
    bezel_status st = bezel_toolset_render(&text, &size, tools, profile != NULL ? profile : bezel_tool_profile_find("instruct"),
                                           context, err);
    if (st != BEZEL_OK)
        return st;
    prompts_begin(&system, &user, tree);
    bz_strbuf_add(&system, text, size);
    bz_strbuf_text(&user, request);
    bz_free(tree->world, text); /* both are of one engine */
    return prompts_give(out, tree, &system, &user, err);
}
