/* SPDX-License-Identifier: MIT */
/* KV cache: ring places, how far a rewind keeps the cache valid, copies. Rows hold their own position, so that a row at a
 * wrong place shows. */
#include "model/kv_cache.h"

#include "base/alloc.h"
#include "support/test_world.h"

#include <check.h>
#include <string.h>

Suite *kv_cache_suite(void);

enum { DH = 4, HKV = 2, WINDOW = 8, RING = WINDOW + BZ_KV_SLACK };

static bz_config small_config(void)
{
    bz_config c;
    memset(&c, 0, sizeof c);
    c.n_layers = 3;
    c.Hkv = HKV;
    c.Dh = DH;
    c.window = WINDOW;
    c.is_global[1] = 1;
    return c;
}

static float mark(uint32_t layer, int is_v, uint32_t head, size_t position)
{
    return (float)(position * 16 + layer * 4 + (uint32_t)is_v * 2 + head);
}

static void write_positions(bz_kv_cache *c, size_t T)
{
    bz_kv_cache_begin(c, T);
    for (uint32_t l = 0; l < c->config->n_layers; ++l) {
        for (size_t p = c->n; p < c->n + T; ++p) {
            float k[HKV * DH], v[HKV * DH];
            for (uint32_t i = 0; i < HKV * DH; ++i) {
                k[i] = mark(l, 0, i / DH, p);
                v[i] = mark(l, 1, i / DH, p);
            }
            bz_kv_cache_store(c, &bz_kernel_ref, l, p, k, v);
        }
    }
    bz_kv_cache_commit(c, T);
}

/* Every row that the next position may read is the one of its position. */
static void check_rows(const bz_kv_cache *c)
{
    for (uint32_t l = 0; l < c->config->n_layers; ++l) {
        const size_t first = c->config->is_global[l] || c->n < WINDOW ? 0 : c->n - WINDOW + 1;
        const size_t ring = bz_kv_cache_ring(c->config, l, c->n_ctx);
        for (size_t p = first; p < c->n; ++p) {
            for (uint32_t h = 0; h < HKV; ++h) {
                float row[DH];
                for (int is_v = 0; is_v < 2; ++is_v) {
                    memcpy(row, bz_kv_cache_rows(c, l, is_v, h) + p % ring * c->row_size, sizeof row);
                    ck_assert_msg(row[0] == mark(l, is_v, h, p) && row[DH - 1] == row[0],
                                  "layer %u position %zu holds %g, expected %g", l, p, (double)row[0],
                                  (double)mark(l, is_v, h, p));
                }
            }
        }
    }
}

static bz_kv_cache *new_cache(const bezel_world *w, const bz_config *config, uint32_t n_ctx)
{
    bz_kv_cache *c = NULL;
    ck_assert_int_eq(bz_kv_cache_new(&c, w, config, n_ctx, BZ_DTYPE_F32, NULL), BEZEL_OK);
    return c;
}

START_TEST(local_layers_hold_a_ring_and_global_layers_everything)
{
    const bz_config config = small_config();
    ck_assert_uint_eq(bz_kv_cache_ring(&config, 0, 2000), RING);
    ck_assert_uint_eq(bz_kv_cache_ring(&config, 1, 2000), 2000);
    ck_assert_uint_eq(bz_kv_cache_ring(&config, 0, 100), 100);
    ck_assert_uint_eq(bz_kv_cache_bytes(&config, 2000, BZ_DTYPE_F32), (2 * RING + 2000) * HKV * DH * 4 * 2);
    ck_assert_uint_eq(bz_kv_cache_bytes(&config, 2000, BZ_DTYPE_F16), (2 * RING + 2000) * HKV * DH * 2 * 2);
    ck_assert_uint_eq(bz_kv_cache_bytes(&config, 2000, BZ_DTYPE_I8), (2 * RING + 2000) * HKV * (4 + DH) * 2);
}
END_TEST

START_TEST(a_size_that_does_not_fit_is_refused)
{
    bz_config config = small_config();
    bz_kv_cache *c = NULL;
    bezel_world w;
    bezel_world_init(&w);
    config.Hkv = UINT32_MAX;
    config.Dh = UINT32_MAX;
    ck_assert_uint_eq(bz_kv_cache_bytes(&config, UINT32_MAX, BZ_DTYPE_F32), UINT64_MAX);
    ck_assert_int_eq(bz_kv_cache_new(&c, &w, &config, UINT32_MAX, BZ_DTYPE_F32, NULL), BEZEL_ERR_OVERFLOW);
    ck_assert_ptr_null(c);
}
END_TEST

START_TEST(rows_stay_right_while_the_ring_wraps_in_any_chunks)
{
    const size_t chunks[] = {1, 7, 128, BZ_KV_SLACK};
    const bz_config config = small_config();
    bezel_world w;
    bezel_world_init(&w);
    for (size_t i = 0; i < 4; ++i) {
        bz_kv_cache *c = new_cache(&w, &config, 1600);
        while (c->n + chunks[i] <= 1600) {
            write_positions(c, chunks[i]);
            check_rows(c);
        }
        bz_kv_cache_free(c);
    }
}
END_TEST

START_TEST(a_chunk_leaves_the_keys_that_its_first_position_reads)
{
    const bz_config config = small_config();
    bezel_world w;
    bezel_world_init(&w);
    bz_kv_cache *c = new_cache(&w, &config, 4000);
    for (int i = 0; i < 4; ++i) {
        write_positions(c, BZ_KV_SLACK);
        ck_assert_uint_le(c->low, c->n - BZ_KV_SLACK < WINDOW ? 0 : c->n - BZ_KV_SLACK - WINDOW + 1);
    }
    bz_kv_cache_free(c);
}
END_TEST

START_TEST(a_rewind_within_the_slack_keeps_the_cache_and_a_longer_one_does_not)
{
    const bz_config config = small_config();
    bezel_world w;
    bezel_world_init(&w);
    bz_kv_cache *c = new_cache(&w, &config, 4000);
    for (int i = 0; i < 15; ++i)
        write_positions(c, 100); /* 1500 positions, local layers hold 980 to 1499 */
    ck_assert_uint_eq(bz_kv_cache_trim(c, 1499), 1499);
    ck_assert_uint_eq(bz_kv_cache_trim(c, 987), 987); /* reads from 980 on */
    check_rows(c);
    write_positions(c, 13);
    check_rows(c);
    ck_assert_uint_eq(bz_kv_cache_trim(c, 987), 987); /* low has not moved */
    ck_assert_uint_eq(bz_kv_cache_trim(c, 986), 0);
    write_positions(c, 20);
    check_rows(c);
    ck_assert_uint_eq(bz_kv_cache_trim(c, 5), 5);
    bz_kv_cache_free(c);
}
END_TEST

START_TEST(an_abandoned_chunk_does_not_spoil_what_is_there)
{
    const bz_config config = small_config();
    bezel_world w;
    bezel_world_init(&w);
    bz_kv_cache *c = new_cache(&w, &config, 4000);
    for (int i = 0; i < 7; ++i)
        write_positions(c, 100);
    bz_kv_cache_begin(c, BZ_KV_SLACK);
    const float junk[HKV * DH] = {-1};
    for (size_t p = 700; p < 700 + BZ_KV_SLACK; ++p)
        bz_kv_cache_store(c, &bz_kernel_ref, 0, p, junk, junk);
    check_rows(c);
    /* Places from 692 on are left; position 699 reads from there, 698 one more. */
    ck_assert_uint_eq(bz_kv_cache_trim(c, 699), 699);
    ck_assert_uint_eq(bz_kv_cache_trim(c, 698), 0);
    bz_kv_cache_free(c);
}
END_TEST

START_TEST(a_copy_is_equal_and_independent)
{
    const bz_config config = small_config();
    bezel_world w;
    bezel_world_init(&w);
    bz_kv_cache *a = new_cache(&w, &config, 4000), *b = new_cache(&w, &config, 4000);
    for (int i = 0; i < 9; ++i)
        write_positions(a, 100);
    bz_kv_cache_copy(b, a);
    ck_assert_uint_eq(b->n, 900);
    ck_assert_uint_eq(b->low, a->low);
    write_positions(a, 500);
    check_rows(b);
    ck_assert_uint_eq(bz_kv_cache_trim(b, 850), 850);
    write_positions(b, 100);
    check_rows(b);
    check_rows(a);
    bz_kv_cache_free(a);
    bz_kv_cache_free(b);
}
END_TEST

START_TEST(spans_give_every_held_row_once)
{
    const bz_config config = small_config();
    bezel_world w;
    bezel_world_init(&w);
    bz_kv_cache *c = new_cache(&w, &config, 4000);
    for (int i = 0; i < 11; ++i)
        write_positions(c, 100);
    for (uint32_t l = 0; l < 3; ++l) {
        size_t rows, at = bz_kv_cache_first(c, l);
        ck_assert_uint_eq(at, l == 1 ? 0 : 1100 - RING);
        for (; at < c->n; at += rows) {
            const uint8_t *span = bz_kv_cache_span(c, l, 1, 1, at, &rows);
            ck_assert_uint_ge(rows, 1);
            for (size_t r = 0; r < rows; ++r) {
                float value;
                memcpy(&value, span + r * c->row_size, sizeof value);
                ck_assert(value == mark(l, 1, 1, at + r));
            }
        }
        ck_assert_uint_eq(at, c->n);
    }
    bz_kv_cache_free(c);
}
END_TEST

static bezel_status cache_once(test_world *tw, void *ctx)
{
    const bz_config *config = ctx;
    bz_kv_cache *c = NULL;
    const bezel_status status = bz_kv_cache_new(&c, &tw->world, config, 100, BZ_DTYPE_F16, NULL);
    ck_assert_int_eq(c == NULL, status != BEZEL_OK);
    bz_kv_cache_free(c);
    return status;
}

START_TEST(a_failing_allocation_leaves_nothing_behind)
{
    bz_config config = small_config();
    test_world tw;
    test_world_init(&tw);
    ck_assert_int_ge(test_world_sweep(&tw, cache_once, &config, BEZEL_OK), 2);
}
END_TEST

Suite *kv_cache_suite(void)
{
    Suite *s = suite_create("kv_cache");
    TCase *t = tcase_create("kv_cache");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, local_layers_hold_a_ring_and_global_layers_everything);
    tcase_add_test(t, a_size_that_does_not_fit_is_refused);
    tcase_add_test(t, rows_stay_right_while_the_ring_wraps_in_any_chunks);
    tcase_add_test(t, a_chunk_leaves_the_keys_that_its_first_position_reads);
    tcase_add_test(t, a_rewind_within_the_slack_keeps_the_cache_and_a_longer_one_does_not);
    tcase_add_test(t, an_abandoned_chunk_does_not_spoil_what_is_there);
    tcase_add_test(t, a_copy_is_equal_and_independent);
    tcase_add_test(t, spans_give_every_held_row_once);
    tcase_add_test(t, a_failing_allocation_leaves_nothing_behind);
    suite_add_tcase(s, t);
    return s;
}
