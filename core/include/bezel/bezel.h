/* SPDX-License-Identifier: MIT */
/* All headers of the core. Tools, agents and store have their own: <bezel/tools.h>, <bezel/agent.h>, <bezel/store.h>. */
#ifndef BEZEL_BEZEL_H
#define BEZEL_BEZEL_H

#include <bezel/base.h>
#include <bezel/chat.h>
#include <bezel/engine.h>
#include <bezel/http.h>
#include <bezel/job.h>
#include <bezel/model.h>
#include <bezel/sampling.h>
#include <bezel/session.h>
#include <bezel/tokenizer.h>
#include <bezel/value.h>

#endif
