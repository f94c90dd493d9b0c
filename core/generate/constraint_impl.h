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
    int32_t *ends; /* [n_ends] tokens that end an answer */
    size_t n_ends;
    bz_notes notes;
};

#endif
