/* SPDX-License-Identifier: MIT */
/* Purpose: one place that knows where the real model lies. */
#include "support/real_model.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *real_model_path(char *out, size_t size)
{
    const char *named = getenv("BEZEL_MODEL"), *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int n;
    if (named && *named)
        n = snprintf(out, size, "%s", named);
    else if (cache && *cache == '/')
        n = snprintf(out, size, "%s/bezel/gemma-3-270m-q4_k_m.gguf", cache);
    else
        n = snprintf(out, size, "%s/.cache/bezel/gemma-3-270m-q4_k_m.gguf", home ? home : "");
    FILE *f = n > 0 && (size_t)n < size ? fopen(out, "rb") : NULL;
    if (!f)
        return NULL;
    fclose(f);
    return out;
}

void real_model_open_again(real_model *r, const bezel_model_options *model_options)
{
    char path[4096];
    bezel_error err = BEZEL_ERROR_INIT;
    ck_assert_ptr_nonnull(real_model_path(path, sizeof path));
    ck_assert_msg(bezel_model_open(&r->model, r->engine, path, model_options, &err) == BEZEL_OK, "%s: %s", path, err.text);
}

void real_model_open_with(real_model *r, const bezel_engine_options *options, const bezel_model_options *model_options)
{
    bezel_error err = BEZEL_ERROR_INIT;
    ck_assert_msg(bezel_engine_new(&r->engine, options, &err) == BEZEL_OK, "engine: %s", err.text);
    real_model_open_again(r, model_options);
}

void real_model_open(real_model *r, const bezel_engine_options *options)
{
    real_model_open_with(r, options, NULL);
}

void real_model_close(real_model *r)
{
    bezel_model_free(r->model);
    bezel_engine_free(r->engine);
    memset(r, 0, sizeof *r);
}

char *real_model_file(const char *path, size_t *out_size)
{
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "%s is not there; tests run in the root of the repository", path);
    fseek(f, 0, SEEK_END);
    long size = ftell(f);
    ck_assert_int_ge(size, 0);
    rewind(f);
    char *text = malloc((size_t)size + 1);
    ck_assert_ptr_nonnull(text);
    ck_assert_uint_eq(fread(text, 1, (size_t)size, f), (size_t)size);
    text[size] = 0;
    fclose(f);
    *out_size = (size_t)size;
    return text;
}
