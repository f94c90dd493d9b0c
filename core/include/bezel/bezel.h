/* SPDX-License-Identifier: MIT */
/* All headers of the core, and nothing else. Include it, or only what you use: every header includes what it needs.
 *
 *     #include <bezel/bezel.h>
 *
 *     bezel_engine_new(&engine, NULL, &err);                                      // engine.h
 *     bezel_model_open(&model, engine, "gemma-3-270m-q4_k_m.gguf", NULL, &err);   // model.h
 *     bezel_session_new(&session, model, NULL, &err);                             // session.h
 *     bezel_session_append_text(session, "The capital of France is", SIZE_MAX, BEZEL_TOKENIZE_BOS, &err);
 *     bezel_generate(&job, session, NULL, &err);                                  // then job.h
 *
 * base.h       version, status codes, errors, the world, the log: read it first, its rules hold for all
 * engine.h     the machine: threads, kernels, memory
 * value.h      null, bool, integer, number, text, list, map; JSON
 * job.h        work that the host drives in slices or leaves to a worker
 * model.h      opening and describing a model file
 * tokenizer.h  text to ids and back
 * chat.h       messages and the form in which a model reads them
 * sampling.h   how the next token is picked
 * constraint.h answers that cannot be wrong in form
 * session.h    a timeline, generation and scores
 * adapter.h    what a session adds to its model
 * train.h      teaching an adapter from examples
 * http.h       a careful client, where the build has it
 *
 * Tools, agents and store are parts of their own: <bezel/tools.h>, <bezel/agent.h>, <bezel/store.h>. */
#ifndef BEZEL_BEZEL_H
#define BEZEL_BEZEL_H

#include <bezel/adapter.h>
#include <bezel/base.h>
#include <bezel/batch.h>
#include <bezel/chat.h>
#include <bezel/constraint.h>
#include <bezel/engine.h>
#include <bezel/http.h>
#include <bezel/job.h>
#include <bezel/model.h>
#include <bezel/sampling.h>
#include <bezel/session.h>
#include <bezel/tokenizer.h>
#include <bezel/train.h>
#include <bezel/value.h>

#endif
