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
BEZEL_API const char *bezel_role_name(uint32_t role);             /* "system", "user", "assistant", "tool"; "" else */
BEZEL_API uint32_t bezel_role_from_name(const char *name);        /* also "model"; 0 for an unknown one */

typedef struct bezel_message {
    uint32_t size; /* sizeof(bezel_message) */
    uint32_t role; /* BEZEL_ROLE_... */
    const char *text; /* UTF-8; never becomes structure, whatever it spells */
    size_t text_size;
} bezel_message;

/* How messages become a prompt: one row for each form. All texts are borrowed and must outlive what uses the row; NULL
 * is the same as "" but for system_open. The texts of the row ("marks") may spell control tokens, which become their
 * ids; what messages spell never does. Everything between two control tokens is encoded as one string, since the runs
 * of blanks and newlines at a border are single tokens.
 * The built-in rows:
 *   "gemma3"      the official template; the system text is folded into the first user turn
 *   "gemma2"      the same (the official one refuses a system message); also for Gemma 1
 *   "transcript"  `User: `, `Assistant: ` lines for pretrained models, which follow no template */
typedef struct bezel_profile {
    uint32_t size;            /* sizeof(bezel_profile) */
    uint32_t strict;          /* 1: user and assistant take turns after at most one system message, else an error.
                               * Results of tools stand after an assistant message and share the user's turn: all of
                               * them, a line each, then the user's text, if there is one, after a blank line */
    const char *name;
    const char *begin;        /* before everything: "<bos>" */
    const char *system_open;  /* NULL: the system text is folded into the next user or tool turn */
    const char *system_close; /* folded: what stands between system and user text ("\n\n") */
    const char *user_open;    /* "<start_of_turn>user\n", "User: " */
    const char *user_close;   /* "<end_of_turn>\n", "\n" */
    const char *assistant_open; /* without its last spaces where an answer is to be written: in the vocabulary a space
                                 * belongs to the word after it, so the model writes " Paris" and the history repeats
                                 * the same ids */
    const char *assistant_close;
    const char *tool_open;    /* results: instruct a user turn, transcript "" (lines carry "Result: ") */
    const char *tool_close;
    uint32_t trim;            /* 1: user, assistant and tool texts are stripped as Python's str.strip does */
    uint32_t label_guard;     /* 1: a content line that begins with one of the labels gets a leading space. The system
                               * text is the host's own and stays as it is */
    const char *const *labels; /* line labels of a transcript, NULL-terminated list */
    const char *const *stops;  /* stop strings beside the end tokens, NULL-terminated list */
    const char *tool_label;    /* the label that lines of tool texts carry by right ("Result:"), NULL = none */
} bezel_profile;

/* Built-in profile by name, NULL when there is none; of a model, by its kind and family. Static. */
BEZEL_API const bezel_profile *bezel_profile_find(const char *name);
BEZEL_API const bezel_profile *bezel_profile_of(const bezel_model *model);

typedef struct bezel_prompt bezel_prompt; /* rendered messages: text and ids. Thread: immutable */

/* Renders messages; profile NULL is the model's own; generation_prompt 1 opens the assistant's turn at the end. A
 * text_size of SIZE_MAX means strlen.
 *   Owns     *out is the caller's, free with bezel_prompt_free before the model
 *   Errors   BEZEL_ERR_FORMAT names the index of a message at a wrong place or with an unknown role; a system message
 *            with no turn after it to be folded into is an error, too: the template would lose it.
 *            BEZEL_ERR_ARGUMENT for no messages; BEZEL_ERR_LIMIT over 1 GiB of text
 *   Source   the chat templates of google/gemma-2-2b-it and google/gemma-3-1b-it */
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
