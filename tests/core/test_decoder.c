/* SPDX-License-Identifier: MIT */
/* Forward pass of the tiny model against what transformers computes with it (tests/golden/make_tiny_reference.py): the
 * residual stream after every layer, logits and greedy tokens, over a text longer than window and ring; and the promise that
 * threads and chunks change nothing. */
#include "model/decoder.h"

#include "base/alloc.h"
#include "base/byte_order.h"
#include "generate/logit_filter.h"
#include "support/test_world.h"
#include "support/test_engine.h"
#include "support/tiny_model.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Suite *decoder_suite(void);

typedef struct reference {
    uint8_t *bytes;
    uint32_t T, L, D, V, n_probes, n_greedy;
    int32_t *ids;
    const uint8_t *probes, *hidden, *logits, *greedy, *margin;
} reference;

static void reference_read(reference *r)
{
    FILE *f = fopen("tests/golden/tiny_gemma3.bin", "rb");
    ck_assert_msg(f != NULL, "tests/golden/tiny_gemma3.bin is missing: run the tests from the root of the repository");
    r->bytes = malloc(1 << 20);
    const size_t size = fread(r->bytes, 1, 1 << 20, f);
    fclose(f);
    ck_assert_uint_gt(size, 32);
    ck_assert_mem_eq(r->bytes, "BZTINY1", 8);
    uint32_t *const counts[6] = {&r->T, &r->L, &r->D, &r->V, &r->n_probes, &r->n_greedy};
    for (size_t i = 0; i < 6; ++i)
        *counts[i] = bz_load_u32(r->bytes + 8 + 4 * i);
    r->probes = r->bytes + 32 + r->T * 4;
    r->hidden = r->probes + r->n_probes * 4;
    r->logits = r->hidden + (size_t)r->n_probes * (r->L + 1) * r->D * 4;
    r->greedy = r->logits + (size_t)r->n_probes * r->V * 4;
    r->margin = r->greedy + r->n_greedy * 4;
    ck_assert_uint_eq((size_t)(r->margin - r->bytes) + r->n_greedy * 4, size);
    r->ids = malloc(r->T * sizeof *r->ids);
    for (size_t i = 0; i < r->T; ++i)
        r->ids[i] = (int32_t)bz_load_u32(r->bytes + 32 + 4 * i);
}

static void reference_free(reference *r)
{
    free(r->ids);
    free(r->bytes);
}

/* Largest difference over the size of the largest value. */
static double distance(const float *x, const uint8_t *expected, size_t n)
{
    double worst = 0, largest = 1e-9;
    for (size_t i = 0; i < n; ++i) {
        const double e = (double)bz_load_f32(expected + 4 * i);
        largest = fmax(largest, fabs(e));
        worst = fmax(worst, fabs((double)x[i] - e));
    }
    return worst / largest;
}

typedef struct run {
    tiny_model tiny;
    bz_kv_cache *cache;
    bz_decoder *decoder;
    float *logits;
} run;

static void run_open(run *r, uint32_t isa, uint32_t threads, uint32_t chunk, int use_q8)
{
    tiny_model_open(&r->tiny, isa, threads, NULL);
    const bezel_world *w = bezel_engine_world(r->tiny.engine);
    const bz_config *c = &r->tiny.model->config;
    ck_assert_int_eq(bz_kv_cache_new(&r->cache, w, c, 1024, use_q8 ? BZ_DTYPE_F16 : BZ_DTYPE_F32, NULL), BEZEL_OK);
    ck_assert_int_eq(bz_decoder_new(&r->decoder, r->tiny.model, chunk, use_q8, NULL), BEZEL_OK);
    r->logits = malloc(c->V * sizeof *r->logits);
}

static void run_close(run *r)
{
    free(r->logits);
    bz_decoder_free(r->decoder);
    bz_kv_cache_free(r->cache);
    tiny_model_close(&r->tiny);
}

static void pass_begin(bz_decoder *d, bz_kv_cache *cache, const int32_t *ids, size_t T)
{
    bz_decoder_begin(d, &(bz_segment){.cache = cache, .ids = ids, .T = T}, 1);
}

static void run_head(run *r, size_t t)
{
    bz_decoder_head(r->decoder, t, 1);
    while (bz_decoder_head_slice(r->decoder, r->logits, r->tiny.model->config.V)) {
    }
}

/* Whole reference text in chunks; compares hidden states and logits of the probes. Returns the largest distances. */
static void run_against(run *r, const reference *ref, uint32_t chunk, double *out_hidden, double *out_logits)
{
    *out_hidden = *out_logits = 0;
    const size_t D = ref->D;
    for (size_t begin = 0; begin < ref->T; begin += chunk) {
        const size_t T = ref->T - begin < chunk ? ref->T - begin : chunk;
        pass_begin(r->decoder, r->cache, ref->ids + begin, T);
        for (uint32_t l = 0; l <= ref->L; ++l) {
            for (uint32_t i = 0; i < ref->n_probes; ++i) {
                const size_t probe = bz_load_u32(ref->probes + 4 * i);
                if (probe >= begin && probe < begin + T)
                    *out_hidden = fmax(*out_hidden, distance(r->decoder->x + (probe - begin) * D,
                                                             ref->hidden + ((size_t)i * (ref->L + 1) + l) * D * 4, D));
            }
            if (l < ref->L)
                ck_assert_int_eq(bz_decoder_layer(r->decoder), l + 1 < ref->L);
        }
        for (uint32_t i = 0; i < ref->n_probes; ++i) {
            const size_t probe = bz_load_u32(ref->probes + 4 * i);
            if (probe < begin || probe >= begin + T)
                continue;
            run_head(r, probe - begin);
            *out_logits = fmax(*out_logits, distance(r->logits, ref->logits + (size_t)i * ref->V * 4, ref->V));
        }
    }
    ck_assert_uint_eq(r->cache->n, ref->T);
}

START_TEST(every_layer_agrees_with_transformers_in_float)
{
    const uint32_t levels[] = {BEZEL_ISA_SCALAR, TEST_FAST_LEVELS};
    reference ref;
    reference_read(&ref);
    for (size_t i = 0; i < 3; ++i) {
        if (!bz_kernel_has(levels[i]))
            continue;
        run r;
        double hidden, logits;
        run_open(&r, levels[i], 2, 100, 0);
        ck_assert_uint_eq(r.tiny.model->config.V, ref.V);
        run_against(&r, &ref, 100, &hidden, &logits);
        ck_assert_msg(hidden < 1e-4 && logits < 1e-4, "%s: hidden %g, logits %g", bezel_isa_name(levels[i]), hidden,
                      logits);
        run_close(&r);
    }
    reference_free(&ref);
}
END_TEST

START_TEST(integer_activations_and_half_keys_stay_close)
{
    const uint32_t levels[] = {BEZEL_ISA_SCALAR, TEST_FAST_LEVELS};
    reference ref;
    reference_read(&ref);
    for (size_t i = 0; i < 3; ++i) {
        if (!bz_kernel_has(levels[i]))
            continue;
        run r;
        double hidden, logits;
        run_open(&r, levels[i], 2, 128, 1);
        run_against(&r, &ref, 128, &hidden, &logits);
        ck_assert_msg(hidden < 0.01 && logits < 0.01, "%s: hidden %g, logits %g", bezel_isa_name(levels[i]), hidden,
                      logits);
        run_close(&r);
    }
    reference_free(&ref);
}
END_TEST

START_TEST(greedy_tokens_are_those_of_transformers_up_to_a_near_tie)
{
    reference ref;
    run r;
    reference_read(&ref);
    run_open(&r, BEZEL_ISA_SCALAR, 1, 64, 0);
    double hidden, logits;
    run_against(&r, &ref, 64, &hidden, &logits); /* the last probe is the last position */
    for (uint32_t i = 0; i < ref.n_greedy; ++i) {
        if (bz_load_f32(ref.margin + 4 * i) < 0.01F)
            break;
        int32_t id = bz_logit_argmax(r.logits, ref.V);
        ck_assert_msg(id == (int32_t)bz_load_u32(ref.greedy + 4 * i), "token %u is %d", i, id);
        pass_begin(r.decoder, r.cache, &id, 1);
        while (bz_decoder_layer(r.decoder)) {
        }
        run_head(&r, 0);
    }
    run_close(&r);
    reference_free(&ref);
}
END_TEST

/* Logits after the whole reference text. */
static void last_logits(float *out, const reference *ref, uint32_t isa, uint32_t threads, uint32_t chunk, int use_q8)
{
    run r;
    run_open(&r, isa, threads, chunk, use_q8);
    for (size_t begin = 0; begin < ref->T; begin += chunk) {
        const size_t T = ref->T - begin < chunk ? ref->T - begin : chunk;
        pass_begin(r.decoder, r.cache, ref->ids + begin, T);
        while (bz_decoder_layer(r.decoder)) {
        }
        run_head(&r, T - 1);
    }
    memcpy(out, r.logits, ref->V * sizeof *out);
    run_close(&r);
}

START_TEST(threads_and_chunks_change_no_bit)
{
    const uint32_t levels[] = {BEZEL_ISA_SCALAR, TEST_FAST_LEVELS};
    const uint32_t chunks[] = {1, 7, 32, 128, 512};
    reference ref;
    reference_read(&ref);
    float *first = malloc(ref.V * sizeof *first), *other = malloc(ref.V * sizeof *other);
    for (size_t i = 0; i < 3; ++i) {
        for (int use_q8 = 0; use_q8 < 2 && bz_kernel_has(levels[i]); ++use_q8) {
            last_logits(first, &ref, levels[i], 1, 128, use_q8);
            for (uint32_t c = 0; c < 5; ++c) {
                last_logits(other, &ref, levels[i], 1 + c % 3, chunks[c], use_q8);
                ck_assert_msg(memcmp(first, other, ref.V * sizeof *first) == 0, "%s q8 %d chunk %u threads %u",
                              bezel_isa_name(levels[i]), use_q8, chunks[c], 1 + c % 3);
            }
        }
    }
    free(first);
    free(other);
    reference_free(&ref);
}
END_TEST

START_TEST(several_positions_of_a_pass_can_have_logits)
{
    reference ref;
    run r;
    reference_read(&ref);
    run_open(&r, BEZEL_ISA_AUTO, 2, 16, 1);
    float *rows = malloc(16 * (size_t)ref.V * sizeof *rows);
    pass_begin(r.decoder, r.cache, ref.ids, 16);
    while (bz_decoder_layer(r.decoder)) {
    }
    bz_decoder_head(r.decoder, 0, 10);
    while (bz_decoder_head_slice(r.decoder, rows, ref.V)) {
    }
    bz_decoder_head(r.decoder, 10, 6);
    while (bz_decoder_head_slice(r.decoder, rows + 10 * (size_t)ref.V, ref.V)) {
    }
    for (size_t t = 0; t < 16; ++t) {
        run_head(&r, t);
        ck_assert_mem_eq(r.logits, rows + t * ref.V, ref.V * sizeof *rows);
    }
    free(rows);
    run_close(&r);
    reference_free(&ref);
}
END_TEST

START_TEST(an_abandoned_pass_changes_nothing)
{
    reference ref;
    run r;
    double hidden, logits;
    reference_read(&ref);
    run_open(&r, BEZEL_ISA_AUTO, 1, 128, 0);
    pass_begin(r.decoder, r.cache, ref.ids + 5, 128);
    ck_assert_int_eq(bz_decoder_layer(r.decoder), 1);
    ck_assert_uint_eq(r.cache->n, 0);
    run_against(&r, &ref, 128, &hidden, &logits);
    ck_assert_double_lt(logits, 1e-4);
    run_close(&r);
    reference_free(&ref);
}
END_TEST

enum { N_LINES = 5 };

/* Timelines that begin at different places of the reference text and come in pieces of different sizes, up to `end` tokens
 * each; the logits of the last row of each go to out [N_LINES, V]. together: all in one pass, until it has no more to do. */
static void several_lines(float *out, const reference *ref, uint32_t isa, uint32_t threads, int use_q8, int together)
{
    static const size_t piece[N_LINES] = {1, 60, 7, 33, 2}, end[N_LINES] = {9, 629, 130, 600, 40};
    run r;
    bz_kv_cache *caches[N_LINES];
    run_open(&r, isa, threads, 128, use_q8);
    const size_t V = ref->V;
    for (size_t i = 0; i < N_LINES; ++i)
        ck_assert_int_eq(bz_kv_cache_new(&caches[i], bezel_engine_world(r.tiny.engine), &r.tiny.model->config,
                                         650 + 50 * (uint32_t)i, r.cache->dtype, NULL), BEZEL_OK);
    for (size_t first = 0, n = 1; first < N_LINES; first += together ? N_LINES : 1) {
        for (n = 1; n > 0;) {
            bz_segment segments[N_LINES];
            size_t line[N_LINES];
            n = 0;
            for (size_t i = first; i < (together ? N_LINES : first + 1); ++i) {
                const size_t done = caches[i]->n, left = end[i] - done;
                line[n] = i;
                segments[n] = (bz_segment){.cache = caches[i], .ids = ref->ids + 11 * i + done,
                                           .T = left < piece[i] ? left : piece[i]};
                n += left > 0;
            }
            if (n == 0)
                break;
            bz_decoder_begin(r.decoder, segments, n);
            while (bz_decoder_layer(r.decoder)) {
            }
            float *logits = malloc(n * V * sizeof *logits);
            for (size_t i = 0; i < n; ++i)
                bz_decoder_head_add(r.decoder, r.decoder->segments[i].row + r.decoder->segments[i].T - 1);
            while (bz_decoder_head_slice(r.decoder, logits, V)) {
            }
            for (size_t i = 0; i < n; ++i)
                memcpy(out + line[i] * V, logits + i * V, V * sizeof *out);
            free(logits);
        }
    }
    for (size_t i = 0; i < N_LINES; ++i) {
        ck_assert_uint_eq(caches[i]->n, end[i]);
        bz_kv_cache_free(caches[i]);
    }
    run_close(&r);
}

START_TEST(timelines_in_one_pass_are_computed_as_each_alone)
{
    const uint32_t levels[] = {BEZEL_ISA_SCALAR, TEST_FAST_LEVELS};
    reference ref;
    reference_read(&ref);
    const size_t size = N_LINES * (size_t)ref.V * sizeof(float);
    float *alone = malloc(size), *together = malloc(size);
    for (size_t i = 0; i < 3; ++i) {
        for (int use_q8 = 0; use_q8 < 2 && bz_kernel_has(levels[i]); ++use_q8) {
            several_lines(alone, &ref, levels[i], 1, use_q8, 0);
            several_lines(together, &ref, levels[i], 1 + (uint32_t)i, use_q8, 1);
            ck_assert_msg(memcmp(alone, together, size) == 0, "%s q8 %d", bezel_isa_name(levels[i]), use_q8);
        }
    }
    free(alone);
    free(together);
    reference_free(&ref);
}
END_TEST

START_TEST(the_plan_is_what_a_decoder_takes)
{
    tiny_model t;
    test_world tw;
    bz_decoder *d = NULL;
    test_world_init(&tw);
    tiny_model_open(&t, BEZEL_ISA_AUTO, 1, &tw.world);
    const int64_t before = tw.bytes;
    ck_assert_int_eq(bz_decoder_new(&d, t.model, 128, 1, NULL), BEZEL_OK);
    const uint64_t taken = (uint64_t)(tw.bytes - before);
    const uint64_t planned = bz_decoder_bytes(&t.model->config, t.engine, 128);
    ck_assert_uint_ge(taken, planned);
    ck_assert_uint_lt(taken, planned + sizeof *d + 512); /* headers of two blocks */
    bz_decoder_free(d);
    ck_assert_int_eq(tw.bytes, before);
    tiny_model_close(&t);
}
END_TEST

Suite *decoder_suite(void)
{
    Suite *s = suite_create("decoder");
    TCase *t = tcase_create("decoder");
    tcase_set_timeout(t, 600);
    tcase_add_test(t, every_layer_agrees_with_transformers_in_float);
    tcase_add_test(t, integer_activations_and_half_keys_stay_close);
    tcase_add_test(t, greedy_tokens_are_those_of_transformers_up_to_a_near_tie);
    tcase_add_test(t, threads_and_chunks_change_no_bit);
    tcase_add_test(t, several_positions_of_a_pass_can_have_logits);
    tcase_add_test(t, an_abandoned_pass_changes_nothing);
    tcase_add_test(t, timelines_in_one_pass_are_computed_as_each_alone);
    tcase_add_test(t, the_plan_is_what_a_decoder_takes);
    suite_add_tcase(s, t);
    return s;
}
