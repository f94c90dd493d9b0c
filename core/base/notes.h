/* SPDX-License-Identifier: MIT */
/* Remarks gathered while a file is opened: things that were accepted but that someone should know. Each goes to the log
 * as a warning and is kept for the description of the object. */
#ifndef BZ_NOTES_H
#define BZ_NOTES_H

#include "base/log.h"

#define BZ_NOTES_MAX 32 /* later ones only count */

typedef struct bz_notes {
    const bezel_world *world;
    bz_log *log;              /* may be NULL */
    char *texts[BZ_NOTES_MAX];
    uint32_t count;           /* texts kept */
    uint32_t dropped;
} bz_notes;

void bz_notes_init(bz_notes *n, const bezel_world *w, bz_log *log);
void bz_notes_free(bz_notes *n);
/* Memory that runs out here only loses the remark. */
void bz_notes_add(bz_notes *n, const char *origin, const char *format, ...) BZ_PRINTF(3, 4);

#endif
