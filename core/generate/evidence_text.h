/* SPDX-License-Identifier: MIT */
/* A text in which values of arguments are looked for: where one may begin and end, which numbers it holds. What a value is, is
 * told by its look: whole words, all of a name in capitals or of what stands in quotes, numbers in digits, in words, as a percentage.
 * Thread: confined. */
#ifndef BZ_EVIDENCE_TEXT_H
#define BZ_EVIDENCE_TEXT_H

#include "generate/call_form.h"

#define BZ_EVIDENCE_BYTES 2048U /* of the text that count: its end */
#define BZ_EVIDENCE_NUMBERS 48U

enum { /* flags of a byte of the text */
    TEXT_STARTS = 1, /* a value may begin here */
    TEXT_ENDS = 2,   /* or end before it */
    TEXT_STRONG = 4, /* it begins with a capital, a digit or a quote */
    TEXT_USED = 8,   /* a value was taken from here */
    TEXT_NEAR = 16,  /* the parameter at hand is named beside it */
    TEXT_FAR = 32,   /* another one is */
    TEXT_NUMBER = 64 /* a number in words begins here */
};

typedef struct bz_evidence_number {
    uint32_t begin, end; /* where in the text */
    uint32_t size;
    char text[28];       /* [size] as a call has it */
    uint8_t is_fraction; /* of a percentage */
    uint8_t is_percent;  /* there is a fraction, too */
} bz_evidence_number;

typedef struct bz_evidence_text {
    uint32_t size;
    char text[BZ_EVIDENCE_BYTES + 1];  /* [size] small letters; a NUL behind it */
    char given[BZ_EVIDENCE_BYTES + 1]; /* as they were */
    uint8_t flags[BZ_EVIDENCE_BYTES + 1];
    uint16_t quote_end[BZ_EVIDENCE_BYTES + 1]; /* of what begins here in quotes, 0 = it does not */
    bz_evidence_number numbers[BZ_EVIDENCE_NUMBERS];
    uint32_t n_numbers;
} bz_evidence_text;

void bz_evidence_text_read(bz_evidence_text *t, const char *text); /* t: zeroes */

int bz_evidence_is_digit(char c);
int bz_evidence_is_letter(char c); /* of words; all bytes beyond ASCII are */
char bz_evidence_small(char c);
int bz_evidence_begins_word(const bz_evidence_text *t, uint32_t p);
int bz_evidence_is_word(const bz_evidence_text *t, uint32_t p, const char *word); /* exactly this word stands at p */
uint32_t bz_evidence_back(const bz_evidence_text *t, uint32_t p, uint32_t words); /* where `words` words before p begin */
uint32_t bz_evidence_ahead(const bz_evidence_text *t, uint32_t p);                /* where the next word ends */
int bz_evidence_is_used(const bz_evidence_text *t, uint32_t begin, uint32_t end);
void bz_evidence_use(bz_evidence_text *t, uint32_t begin, uint32_t end); /* a name wherever it stands */
/* 1 when a word of the name of `least` letters or more begins a word in [begin, end); of short ones only the whole counts. */
int bz_evidence_has_name(const bz_evidence_text *t, const bz_call_text *name, uint32_t begin, uint32_t end, size_t least);

#endif
