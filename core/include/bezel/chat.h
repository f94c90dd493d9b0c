/* SPDX-License-Identifier: MIT */
/* Messages and the form in which a model reads them: chat template or transcript, one profile each. */
#ifndef BEZEL_CHAT_H
#define BEZEL_CHAT_H

#include <bezel/model.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    BEZEL_ROLE_SYSTEM = 1,
    BEZEL_ROLE_USER = 2,
    BEZEL_ROLE_ASSISTANT = 3,
    BEZEL_ROLE_TOOL = 4 /* result lines of tools, as bezel_toolset_render_results writes them */
};
BEZEL_API const char *bezel_role_name(uint32_t role);             /* "system", "user", "assistant", "tool" */
BEZEL_API uint32_t bezel_role_from_name(const char *name);        /* also "model"; 0 for an unknown one */

typedef struct bezel_message {
    uint32_t size; /* sizeof(bezel_message) */
    uint32_t role; /* BEZEL_ROLE_... */
    const char *text; /* UTF-8; never becomes structure, whatever it spells */
    size_t text_size;
} bezel_message;

/* How messages become a prompt: one row for each form. All texts are borrowed and must outlive what uses the row.
 * The built-in rows: "gemma3", "gemma2", "transcript". */
typedef struct bezel_profile {
    uint32_t size;            /* sizeof(bezel_profile) */
    uint32_t strict;          /* 1: roles must alternate as in the official template, else an error */
    const char *name;
    const char *begin;        /* before everything; control tokens spelled in marks are control tokens: "<bos>" */
    const char *system_open;  /* NULL: the system text is folded into the first user message */
    const char *system_close; /* folded: what stands between system and user text ("\n\n") */
    const char *user_open;    /* "<start_of_turn>user\n", "User: " */
    const char *user_close;   /* "<end_of_turn>\n", "\n" */
    const char *assistant_open;
    const char *assistant_close;
    const char *tool_open;    /* results: instruct a user turn, transcript "" (lines carry "Result: ") */
    const char *tool_close;
    uint32_t trim;            /* 1: user and assistant texts are stripped as Python's str.strip does */
    uint32_t label_guard;     /* 1: a content line that begins with one of the labels gets a leading space */
    const char *const *labels; /* line labels of a transcript, NULL-terminated list */
    const char *const *stops;  /* stop strings beside the end tokens, NULL-terminated list */
} bezel_profile;

/* Built-in profile by name, NULL when there is none; of a model, by its kind and family. Static. */
BEZEL_API const bezel_profile *bezel_profile_find(const char *name);
BEZEL_API const bezel_profile *bezel_profile_of(const bezel_model *model);

typedef struct bezel_prompt bezel_prompt; /* rendered messages: text, ids, stops. Immutable */

/* Renders messages; generation_prompt 1 opens the assistant's turn at the end.
 *   Owns     *out is the caller's, free with bezel_prompt_free
 *   Errors   BEZEL_ERR_FORMAT names the index of a message at a wrong place or with an unknown role;
 *            a lone system message is an error, too: the template would lose it */
BEZEL_API bezel_status bezel_prompt_render(bezel_prompt **out, const bezel_model *model, const bezel_profile *profile,
                                           const bezel_message *messages, size_t count, int32_t generation_prompt,
                                           bezel_error *err);
BEZEL_API void bezel_prompt_free(bezel_prompt *prompt);
BEZEL_API const char *bezel_prompt_text(const bezel_prompt *prompt, size_t *out_size);
BEZEL_API const int32_t *bezel_prompt_ids(const bezel_prompt *prompt, size_t *out_count);

#ifdef __cplusplus
}
#endif
#endif
