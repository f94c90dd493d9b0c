/* SPDX-License-Identifier: MIT */
/* Inside of bezel_constraint. */
#ifndef BZ_CONSTRAINT_IMPL_H
#define BZ_CONSTRAINT_IMPL_H

#include <bezel/constraint.h>

#include "base/notes.h"
#include "generate/token_mask.h"

struct bezel_constraint {
    bezel_model *model;
    const bezel_world *world;
    bz_arena arena; /* spelled marks: texts of the form's dialect */
    bz_call_form *form;
    const bz_vocab_trie *trie; /* the model's */
    bz_token_marks marks;
    bz_schema *schema; /* of a JSON answer, else NULL */
    int32_t *ends; /* [n_ends] tokens that end an answer */
    size_t n_ends;
    bz_notes notes;
};

/* BEZEL_ERR_ARGUMENT unless choices are 1 to 4,096 distinct texts, not empty, valid UTF-8. */
bezel_status bz_choices_check(const char *const *choices, size_t n, bezel_error *err);

#endif
