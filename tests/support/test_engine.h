/* SPDX-License-Identifier: MIT */
/* An engine on a test world. */
#ifndef TEST_ENGINE_H
#define TEST_ENGINE_H

#include <bezel/engine.h>

#include "support/test_world.h"

/* Every level above the scalar one; a test passes over those that the machine lacks. */
#define TEST_FAST_LEVELS BEZEL_ISA_AVX2, BEZEL_ISA_AVX512, BEZEL_ISA_AMX, BEZEL_ISA_NEON

/* An engine with `threads` threads at level `isa` (BEZEL_ISA_AUTO follows the environment) on tw, or on the system's world
 * when tw is NULL. Fails the running Check test when it cannot be made. */
bezel_engine *test_engine_new(test_world *tw, uint32_t threads, uint32_t isa);
/* The same, but a failure is returned: for allocation sweeps. */
bezel_status test_engine_try(bezel_engine **out, test_world *tw, uint32_t threads, uint32_t isa, bezel_error *err);

#endif
