/* SPDX-License-Identifier: MIT */
/* An engine on a test world. */
#include "support/test_engine.h"

#include <check.h>

bezel_status test_engine_try(bezel_engine **out, test_world *tw, uint32_t threads, uint32_t isa, bezel_error *err)
{
    bezel_engine_options options;
    bezel_engine_options_init(&options);
    options.threads = threads;
    options.isa = isa;
    options.world = tw == NULL ? NULL : &tw->world;
    return bezel_engine_new(out, &options, err);
}

bezel_engine *test_engine_new(test_world *tw, uint32_t threads, uint32_t isa)
{
    bezel_engine *engine = NULL;
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_status status = test_engine_try(&engine, tw, threads, isa, &err);
    ck_assert_msg(status == BEZEL_OK, "engine: %s (%s)", err.text, bezel_status_name(status));
    return engine;
}
