/* SPDX-License-Identifier: MIT */
/* What a session's life means for the beginning it was told to share (see prefix_snapshot.c). */
#ifndef BZ_PREFIX_SNAPSHOT_H
#define BZ_PREFIX_SNAPSHOT_H

#include "generate/session_impl.h"

/* Keeps the beginning that bezel_session_prefix asked for, once it is computed. */
void bz_prefix_snapshot_take(bezel_session *s);
/* The timeline has other ids from `count` on. */
void bz_prefix_snapshot_cut(bezel_session *s, size_t count);

#endif
