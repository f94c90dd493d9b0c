/* SPDX-License-Identifier: MIT */
/* Timeline, prefix reuse, rewind, fork, files. Whatever was done to a session, its next answer must be the one of a fresh
 * session with the same ids. */
#include <bezel/session.h>

#include "base/hash.h"
#include "generate/session_impl.h"
#include "support/test_world.h"
#include "support/tiny_model.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

START_TEST(the_plan_is_what_a_session_takes)
{
    const uint32_t levels[2] = {BEZEL_ISA_SCALAR, BEZEL_ISA_AUTO}; /* floats, and what this machine does by default */
    for (size_t i = 0; i < 2; ++i) {
        tiny_model t;
        test_world tw;
        bezel_tree *tree = NULL;
        bezel_value *plan = NULL;
        bezel_session *s = NULL;
        test_world_init(&tw);
        tiny_model_open(&t, levels[i], 1, &tw.world);
        ck_assert_int_eq(bezel_tree_new(&tree, t.engine, NULL), BEZEL_OK);
        ck_assert_int_eq(bezel_model_plan(&plan, tree, t.engine, TINY_MODEL_PATH, 0, NULL), BEZEL_OK);
        const int64_t planned =
            bezel_value_integer(bezel_value_get(plan, "kv")) + bezel_value_integer(bezel_value_get(plan, "scratch"));
        const int64_t before = tw.bytes;
        ck_assert_int_eq(bezel_session_new(&s, t.model, NULL, NULL), BEZEL_OK);
        ck_assert_int_ge(tw.bytes - before, planned);
        ck_assert_int_lt(tw.bytes - before, planned + 16384); /* the structs and the headers of blocks */
        ck_assert_int_eq(bezel_value_integer(bezel_value_get(plan, "n_ctx")), bezel_session_n_ctx(s));
        bezel_session_free(s);
        bezel_tree_free(tree);
        tiny_model_close(&t);
    }
}
END_TEST

Suite *session_suite(void);

enum { CTX = 1000, ANSWER = 12 };

/* The next ANSWER greedy tokens are those of a new session with the same timeline; the timeline is as before after it. */
static void check_like_fresh(const tiny_model *t, bezel_session *s)
{
    int32_t ids[CTX], mine[ANSWER], fresh[ANSWER];
    size_t n;
    const int32_t *now = bezel_session_ids(s, &n);
    memcpy(ids, now, n * sizeof *ids);
    bezel_session *f = tiny_model_session(t, bezel_session_n_ctx(s), 64, s->activations);
    ck_assert_int_eq(bezel_session_set(f, ids, n, NULL), BEZEL_OK);
    ck_assert_uint_eq(tiny_model_greedy(fresh, f, ANSWER), ANSWER);
    ck_assert_uint_eq(tiny_model_greedy(mine, s, ANSWER), ANSWER);
    ck_assert_mem_eq(mine, fresh, sizeof mine);
    ck_assert_mem_eq(f->logits, s->logits, t->model->config.V * sizeof *s->logits);
    ck_assert_int_eq(bezel_session_rewind(s, n, NULL), BEZEL_OK);
    bezel_session_free(f);
}

START_TEST(options_are_checked_and_zeros_are_filled)
{
    tiny_model t;
    bezel_session *s = NULL;
    bezel_session_options o;
    bezel_error err = BEZEL_ERROR_INIT;
    tiny_model_open(&t, BEZEL_ISA_SCALAR, 1, NULL);
    ck_assert_int_eq(bezel_session_new(&s, t.model, NULL, &err), BEZEL_OK);
    ck_assert_uint_eq(bezel_session_n_ctx(s), 1024); /* the model's own, as it is under 4096 */
    ck_assert_uint_eq(s->activations, BEZEL_ACTIVATIONS_F32);
    ck_assert_uint_eq(s->cache->dtype, BZ_DTYPE_F32);
    ck_assert_ptr_eq(bezel_session_model(s), t.model);
    bezel_session_free(s);
    const uint32_t bad[4][4] = {{1025, 0, 0, 0}, {0, BZ_KV_SLACK + 1, 0, 0}, {0, 0, 3, 0}, {0, 0, 0, 4}};
    const char *const names[4] = {"n_ctx", "chunk", "activations", "kv"};
    for (int i = 0; i < 4; ++i) {
        bezel_session_options_init(&o);
        o.n_ctx = bad[i][0];
        o.chunk = bad[i][1];
        o.activations = bad[i][2];
        o.kv = bad[i][3];
        ck_assert_int_eq(bezel_session_new(&s, t.model, &o, &err), BEZEL_ERR_RANGE);
        ck_assert_ptr_nonnull(strstr(err.text, names[i]));
        ck_assert_ptr_null(s);
    }
    ck_assert_int_eq(bezel_session_new(NULL, t.model, NULL, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_int_eq(bezel_session_new(&s, NULL, NULL, &err), BEZEL_ERR_ARGUMENT);
    bezel_session_free(NULL);
    tiny_model_close(&t);
}
END_TEST

START_TEST(what_does_not_fit_or_is_no_token_leaves_the_timeline_alone)
{
    tiny_model t;
    int32_t ids[20];
    size_t n;
    bezel_error err = BEZEL_ERROR_INIT;
    tiny_model_open(&t, BEZEL_ISA_AUTO, 1, NULL);
    bezel_session *s = tiny_model_session(&t, 16, 0, 0);
    tiny_model_ids(ids, 20, 1);
    ck_assert_int_eq(bezel_session_append(s, ids, 10, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_session_append(s, ids, 7, &err), BEZEL_ERR_FULL);
    ck_assert_int_eq(bezel_session_append(s, ids, SIZE_MAX, NULL), BEZEL_ERR_FULL);
    ck_assert_int_eq(bezel_session_set(s, ids, 17, &err), BEZEL_ERR_FULL);
    ck_assert_int_eq(bezel_session_append(s, NULL, 1, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_int_eq(bezel_session_append_text(s, NULL, 0, 0, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_int_eq(bezel_session_append_text(s, "x", 1, 64, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_int_eq(bezel_session_rewind(s, 11, &err), BEZEL_ERR_RANGE);
    ids[3] = 384;
    ck_assert_int_eq(bezel_session_append(s, ids, 4, &err), BEZEL_ERR_RANGE);
    ck_assert_int_eq(err.offset, 3);
    ids[3] = -1;
    ck_assert_int_eq(bezel_session_set(s, ids, 4, &err), BEZEL_ERR_RANGE);
    (void)bezel_session_ids(s, &n);
    ck_assert_uint_eq(n, 10);
    ck_assert_int_eq(bezel_session_append(s, ids, 0, &err), BEZEL_OK);
    bezel_session_free(s);
    tiny_model_close(&t);
}
END_TEST

START_TEST(text_is_appended_with_and_without_bos)
{
    tiny_model t;
    size_t n, m;
    tiny_model_open(&t, BEZEL_ISA_AUTO, 1, NULL);
    bezel_session *s = tiny_model_session(&t, 100, 0, 0);
    ck_assert_int_eq(bezel_session_append_text(s, "the User is", SIZE_MAX, BEZEL_TOKENIZE_BOS, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_session_ids(s, &n)[0], 2);
    ck_assert_int_eq(bezel_session_append_text(s, "the User is!", 11, 0, NULL), BEZEL_OK);
    const int32_t *ids = bezel_session_ids(s, &m);
    ck_assert_uint_eq(m, 2 * n - 1);
    ck_assert_mem_eq(ids + 1, ids + n, (n - 1) * sizeof *ids);
    bezel_session_free(s);
    tiny_model_close(&t);
}
END_TEST

START_TEST(setting_a_timeline_keeps_the_common_prefix)
{
    tiny_model t;
    int32_t a[60], b[60], answer[ANSWER];
    tiny_model_open(&t, BEZEL_ISA_AUTO, 2, NULL);
    bezel_session *s = tiny_model_session(&t, CTX, 16, 0);
    tiny_model_ids(a, 60, 1);
    memcpy(b, a, sizeof a);
    b[40] = a[40] == 20 ? 21 : 20;
    ck_assert_int_eq(bezel_session_set(s, a, 60, NULL), BEZEL_OK);
    ck_assert_uint_eq(bezel_session_cached(s), 0);
    tiny_model_greedy(answer, s, ANSWER);
    ck_assert_uint_eq(bezel_session_cached(s), 60 + ANSWER - 1);
    ck_assert_int_eq(bezel_session_set(s, b, 60, NULL), BEZEL_OK);
    ck_assert_uint_eq(bezel_session_cached(s), 40);
    check_like_fresh(&t, s);
    ck_assert_int_eq(bezel_session_set(s, b, 50, NULL), BEZEL_OK);
    ck_assert_uint_eq(bezel_session_cached(s), 50);
    check_like_fresh(&t, s); /* everything cached: the last position is computed again */
    size_t n;
    const int32_t *own = bezel_session_ids(s, &n);
    ck_assert_int_eq(bezel_session_set(s, own, n, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_session_append(s, own + 3, 10, NULL), BEZEL_OK);
    check_like_fresh(&t, s);
    ck_assert_int_eq(bezel_session_set(s, NULL, 0, NULL), BEZEL_OK);
    ck_assert_uint_eq(bezel_session_cached(s), 0);
    bezel_session_free(s);
    tiny_model_close(&t);
}
END_TEST

START_TEST(a_rewind_is_right_within_the_slack_and_past_the_ring)
{
    tiny_model t;
    int32_t ids[900], answer[ANSWER];
    const size_t back[] = {899, 880, 600, 300, 10, 1};
    tiny_model_open(&t, BEZEL_ISA_AUTO, 2, NULL);
    bezel_session *s = tiny_model_session(&t, CTX, 128, 0);
    tiny_model_ids(ids, 900, 2);
    for (size_t i = 0; i < sizeof back / sizeof *back; ++i) {
        ck_assert_int_eq(bezel_session_set(s, ids, 900, NULL), BEZEL_OK);
        tiny_model_greedy(answer, s, ANSWER);
        ck_assert_int_eq(bezel_session_rewind(s, back[i], NULL), BEZEL_OK);
        /* 911 positions were computed, the ring of 520 holds 391 on: 398 is the first that can go on. */
        ck_assert_uint_eq(bezel_session_cached(s), back[i] >= 398 ? back[i] : 0);
        check_like_fresh(&t, s);
    }
    bezel_session_free(s);
    tiny_model_close(&t);
}
END_TEST

START_TEST(a_fork_goes_its_own_way)
{
    tiny_model t;
    int32_t ids[700], a[ANSWER], b[ANSWER];
    const int32_t more[2] = {30, 31};
    bezel_session *fork = NULL;
    tiny_model_open(&t, BEZEL_ISA_AUTO, 2, NULL);
    bezel_session *s = tiny_model_session(&t, CTX, 128, 0);
    tiny_model_ids(ids, 700, 3);
    ck_assert_int_eq(bezel_session_set(s, ids, 700, NULL), BEZEL_OK);
    tiny_model_greedy(a, s, ANSWER);
    ck_assert_int_eq(bezel_session_fork(&fork, s, NULL), BEZEL_OK);
    ck_assert_uint_eq(bezel_session_cached(fork), bezel_session_cached(s));
    ck_assert_int_eq(bezel_session_append(fork, more, 2, NULL), BEZEL_OK);
    check_like_fresh(&t, fork);
    tiny_model_greedy(a, s, ANSWER);
    bezel_session_free(s);
    check_like_fresh(&t, fork);
    tiny_model_greedy(b, fork, ANSWER);
    bezel_session_free(fork);
    tiny_model_close(&t);
}
END_TEST

/* --- Files -------------------------------------------------------------------------------- */

typedef struct saved_file {
    char path[64];
    uint8_t *bytes;
    size_t size;
} saved_file;

static void saved_name(saved_file *f)
{
    snprintf(f->path, sizeof f->path, "/tmp/bezel_test_session_%ld", (long)getpid());
}

static void saved_read(saved_file *f)
{
    FILE *file = fopen(f->path, "rb");
    ck_assert_ptr_nonnull(file);
    f->bytes = malloc(8 << 20);
    f->size = fread(f->bytes, 1, 8 << 20, file);
    fclose(file);
}

static void saved_write(const saved_file *f, const void *bytes, size_t size)
{
    FILE *file = fopen(f->path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

/* Session with n ids, computed but for the last, saved. */
static bezel_session *saved_make(saved_file *f, const tiny_model *t, size_t n, uint32_t activations)
{
    int32_t ids[CTX], answer[ANSWER];
    bezel_error err = BEZEL_ERROR_INIT;
    saved_name(f);
    bezel_session *s = tiny_model_session(t, CTX, 128, activations);
    tiny_model_ids(ids, n, 4);
    ck_assert_int_eq(bezel_session_set(s, ids, n - ANSWER, NULL), BEZEL_OK);
    tiny_model_greedy(answer, s, ANSWER);
    ck_assert_msg(bezel_session_save(s, f->path, &err) == BEZEL_OK, "%s", err.text);
    saved_read(f);
    return s;
}

static void saved_free(saved_file *f)
{
    remove(f->path);
    free(f->bytes);
}

START_TEST(a_saved_session_goes_on_where_it_was)
{
    const size_t lengths[] = {20, 519, 530, 900};
    tiny_model t;
    tiny_model_open(&t, BEZEL_ISA_AUTO, 2, NULL);
    for (uint32_t activations = 1; activations <= 2; ++activations) {
        for (size_t i = 0; i < 4; ++i) {
            saved_file f;
            size_t n, m;
            bezel_error err = BEZEL_ERROR_INIT;
            bezel_session *s = saved_make(&f, &t, lengths[i], activations);
            bezel_session *l = tiny_model_session(&t, CTX, 7, activations);
            ck_assert_msg(bezel_session_load(l, f.path, &err) == BEZEL_OK, "%s", err.text);
            const int32_t *a = bezel_session_ids(s, &n), *b = bezel_session_ids(l, &m);
            ck_assert_uint_eq(n, m);
            ck_assert_mem_eq(a, b, n * sizeof *a);
            ck_assert_uint_eq(bezel_session_cached(l), bezel_session_cached(s));
            check_like_fresh(&t, l);
            bezel_session_free(s);
            bezel_session_free(l);
            saved_free(&f);
        }
    }
    tiny_model_close(&t);
}
END_TEST

static bezel_session *kv_session(const tiny_model *t, uint32_t kv, uint32_t chunk)
{
    bezel_session *s = NULL;
    bezel_session_options o;
    bezel_session_options_init(&o);
    o.n_ctx = CTX;
    o.chunk = chunk;
    o.kv = kv;
    ck_assert_int_eq(bezel_session_new(&s, t->model, &o, NULL), BEZEL_OK);
    return s;
}

START_TEST(every_form_of_keys_and_values_is_saved_loaded_and_forked)
{
    static const uint32_t dtypes[] = {BZ_DTYPE_F16, BZ_DTYPE_F32, BZ_DTYPE_F16, BZ_DTYPE_I8};
    tiny_model t;
    int32_t ids[600], mine[ANSWER], other[ANSWER];
    tiny_model_open(&t, BEZEL_ISA_AUTO, 2, NULL);
    tiny_model_ids(ids, 600, 4);
    for (uint32_t kv = t.engine->isa == BEZEL_ISA_SCALAR ? 1 : 0; kv <= BEZEL_KV_INT8; ++kv) {
        saved_file f = {.bytes = NULL};
        bezel_session *s = kv_session(&t, kv, 128), *loaded = kv_session(&t, kv, 7), *forked = NULL;
        bezel_session *wrong = kv_session(&t, kv == BEZEL_KV_INT8 ? BEZEL_KV_F32 : BEZEL_KV_INT8, 128);
        bezel_error err = BEZEL_ERROR_INIT;
        ck_assert_uint_eq(s->cache->dtype, dtypes[kv]);
        ck_assert_int_eq(bezel_session_set(s, ids, 590, NULL), BEZEL_OK);
        tiny_model_greedy(mine, s, 4);
        saved_name(&f);
        ck_assert_int_eq(bezel_session_save(s, f.path, NULL), BEZEL_OK);
        ck_assert_msg(bezel_session_load(loaded, f.path, &err) == BEZEL_OK, "%s", err.text);
        ck_assert_int_eq(bezel_session_load(wrong, f.path, &err), BEZEL_ERR_ARGUMENT);
        ck_assert_ptr_nonnull(strstr(err.text, "kv"));
        ck_assert_int_eq(bezel_session_fork(&forked, s, NULL), BEZEL_OK);
        ck_assert_uint_eq(forked->cache->dtype, dtypes[kv]);
        tiny_model_greedy(mine, s, ANSWER);
        tiny_model_greedy(other, loaded, ANSWER);
        ck_assert_mem_eq(mine, other, sizeof mine);
        tiny_model_greedy(other, forked, ANSWER);
        ck_assert_mem_eq(mine, other, sizeof mine);
        bezel_session_free(s);
        bezel_session_free(loaded);
        bezel_session_free(forked);
        bezel_session_free(wrong);
        remove(f.path);
    }
    tiny_model_close(&t);
}
END_TEST

START_TEST(an_empty_session_can_be_saved_and_loaded)
{
    tiny_model t;
    saved_file f = {.bytes = NULL};
    int32_t ids[5];
    size_t n;
    saved_name(&f);
    tiny_model_open(&t, BEZEL_ISA_AUTO, 1, NULL);
    bezel_session *s = tiny_model_session(&t, 64, 0, 0);
    ck_assert_int_eq(bezel_session_save(s, f.path, NULL), BEZEL_OK);
    tiny_model_ids(ids, 5, 1);
    ck_assert_int_eq(bezel_session_set(s, ids, 5, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_session_load(s, f.path, NULL), BEZEL_OK);
    (void)bezel_session_ids(s, &n);
    ck_assert_uint_eq(n, 0);
    bezel_session_free(s);
    tiny_model_close(&t);
    saved_free(&f);
}
END_TEST

/* Loading fails, with `status` unless that is 0, and s is as it was. */
static void check_refused(bezel_session *s, const saved_file *f, bezel_status status, const char *what, size_t at)
{
    bezel_error err = BEZEL_ERROR_INIT;
    size_t n, cached = bezel_session_cached(s);
    const bezel_status got = bezel_session_load(s, f->path, &err);
    ck_assert_msg(got < 0 && (status == 0 || got == status), "%s %zu: %s", what, at, bezel_status_name(got));
    ck_assert_str_ne(err.text, "");
    (void)bezel_session_ids(s, &n);
    ck_assert_uint_eq(n, 9);
    ck_assert_uint_eq(bezel_session_cached(s), cached);
}

static bezel_session *small_other(const tiny_model *t)
{
    int32_t ids[9], answer[1];
    bezel_session *s = tiny_model_session(t, CTX, 0, BEZEL_ACTIVATIONS_F32);
    tiny_model_ids(ids, 8, 9);
    ck_assert_int_eq(bezel_session_set(s, ids, 8, NULL), BEZEL_OK);
    tiny_model_greedy(answer, s, 1);
    return s;
}

START_TEST(a_damaged_file_is_refused_and_the_session_stays_as_it_was)
{
    tiny_model t;
    saved_file f;
    tiny_model_open(&t, BEZEL_ISA_AUTO, 1, NULL);
    bezel_session *s = saved_make(&f, &t, 20, BEZEL_ACTIVATIONS_F32), *other = small_other(&t);
    uint8_t *copy = malloc(f.size + 1);
    memcpy(copy, f.bytes, f.size);
    for (size_t i = 0; i < f.size; i += i < 220 ? 1 : 997) {
        copy[i] ^= 0x41;
        saved_write(&f, copy, f.size);
        check_refused(other, &f, 0, "flip", i);
        copy[i] ^= 0x41;
    }
    for (size_t size = 0; size < f.size; size += size < 200 ? 1 : 1009) {
        saved_write(&f, copy, size);
        check_refused(other, &f, BEZEL_ERR_TRUNCATED, "cut", size);
    }
    copy[f.size] = 0;
    saved_write(&f, copy, f.size + 1);
    check_refused(other, &f, BEZEL_ERR_FORMAT, "longer", 0);
    remove(f.path);
    check_refused(other, &f, BEZEL_ERR_MISSING, "missing", 0);
    check_like_fresh(&t, other);
    free(copy);
    bezel_session_free(s);
    bezel_session_free(other);
    saved_free(&f);
    tiny_model_close(&t);
}
END_TEST

/* Puts a number of `width` bytes at `at`, and the right hash at the end: damage by intent. */
static void forge(const saved_file *f, size_t at, size_t width, uint64_t value)
{
    uint8_t *copy = malloc(f->size);
    bz_hash h;
    memcpy(copy, f->bytes, f->size);
    for (size_t i = 0; i < width; ++i)
        copy[at + i] = (uint8_t)(value >> (8 * i));
    bz_hash_init(&h);
    bz_hash_add(&h, copy, f->size - 16);
    bz_hash_finish(&h, copy + f->size - 16);
    saved_write(f, copy, f->size);
    free(copy);
}

START_TEST(forged_counts_are_refused_before_they_are_used)
{
    const uint64_t values[] = {0, 1, 7, 19, 21, 999, 1000, 1001, 4294967295U, UINT64_MAX / 4, UINT64_MAX};
    tiny_model t;
    saved_file f;
    tiny_model_open(&t, BEZEL_ISA_AUTO, 1, NULL);
    bezel_session *s = saved_make(&f, &t, 20, BEZEL_ACTIVATIONS_F32), *other = small_other(&t);
    for (size_t at = 56; at < 96; at += 8) { /* n_ids 20, n_cached 19, low 0, size, kv 1 */
        for (size_t i = 0; i < sizeof values / sizeof *values; ++i) {
            if ((at == 64 && values[i] == 19) || (at == 72 && values[i] == 0) || (at == 88 && values[i] == 1))
                continue;
            forge(&f, at, 8, values[i]);
            check_refused(other, &f, 0, "count", at);
        }
    }
    forge(&f, 96, 4, 384);
    check_refused(other, &f, BEZEL_ERR_RANGE, "id", 96);
    forge(&f, 100, 4, 0xFFFFFFFFU);
    check_refused(other, &f, BEZEL_ERR_RANGE, "id", 100);
    bezel_session_free(s);
    bezel_session_free(other);
    saved_free(&f);
    tiny_model_close(&t);
}
END_TEST

START_TEST(a_file_of_another_model_or_other_options_is_refused)
{
    tiny_model t;
    saved_file f;
    bezel_error err = BEZEL_ERROR_INIT;
    tiny_model_open(&t, BEZEL_ISA_AUTO, 1, NULL);
    bezel_session *s = saved_make(&f, &t, 20, BEZEL_ACTIVATIONS_F32), *other = small_other(&t);
    forge(&f, 16, 1, f.bytes[16] ^ 1U);
    check_refused(other, &f, BEZEL_ERR_ARGUMENT, "fingerprint", 16);
    forge(&f, 8, 4, 1);
    check_refused(other, &f, BEZEL_ERR_VERSION, "version", 8);
    forge(&f, 8, 4, 2);
    bezel_session *shorter = tiny_model_session(&t, CTX - 1, 0, BEZEL_ACTIVATIONS_F32);
    ck_assert_int_eq(bezel_session_load(shorter, f.path, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(err.text, "n_ctx"));
    bezel_session *half = tiny_model_session(&t, CTX, 0, BEZEL_ACTIVATIONS_Q8);
    ck_assert_int_eq(bezel_session_load(half, f.path, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(err.text, "activations"));
    ck_assert_int_eq(bezel_session_load(other, f.path, &err), BEZEL_OK);
    bezel_session_free(shorter);
    bezel_session_free(half);
    bezel_session_free(s);
    bezel_session_free(other);
    saved_free(&f);
    tiny_model_close(&t);
}
END_TEST

START_TEST(not_a_number_in_a_forged_cache_is_an_error_of_the_next_answer)
{
    tiny_model t;
    saved_file f;
    bezel_job *job = NULL;
    bezel_error err = BEZEL_ERROR_INIT;
    tiny_model_open(&t, BEZEL_ISA_AUTO, 1, NULL);
    bezel_session *s = saved_make(&f, &t, 20, BEZEL_ACTIVATIONS_F32), *other = small_other(&t);
    forge(&f, 96 + 20 * 4 + 18 * 32 * 4, 4, 0x7FC00000U); /* layer 0, key of position 18 */
    ck_assert_int_eq(bezel_session_load(other, f.path, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_generate(&job, other, NULL, &err), BEZEL_OK);
    ck_assert_int_eq(tiny_model_drive(job, &err), BEZEL_ERR_NUMERIC);
    bezel_job_free(job);
    ck_assert_int_eq(bezel_session_set(other, NULL, 0, &err), BEZEL_OK); /* not busy, and clean again */
    ck_assert_int_eq(bezel_session_append_text(other, "a", 1, BEZEL_TOKENIZE_BOS, &err), BEZEL_OK);
    check_like_fresh(&t, other);
    bezel_session_free(s);
    bezel_session_free(other);
    saved_free(&f);
    tiny_model_close(&t);
}
END_TEST

START_TEST(a_path_that_cannot_be_written_is_an_error_and_leaves_no_file)
{
    tiny_model t;
    bezel_error err = BEZEL_ERROR_INIT;
    tiny_model_open(&t, BEZEL_ISA_AUTO, 1, NULL);
    bezel_session *s = small_other(&t);
    ck_assert_int_lt(bezel_session_save(s, "/nowhere/at/all", &err), 0);
    ck_assert_str_eq(err.place, "/nowhere/at/all");
    ck_assert_int_eq(bezel_session_save(s, NULL, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_int_eq(bezel_session_load(s, NULL, &err), BEZEL_ERR_ARGUMENT);
    bezel_session_free(s);
    tiny_model_close(&t);
}
END_TEST

/* --- Memory ------------------------------------------------------------------------------- */

typedef bezel_status (*memory_step)(bezel_session **made, const tiny_model *t, bezel_session *s, const char *path,
                                    bezel_error *err);

static bezel_status step_new(bezel_session **made, const tiny_model *t, bezel_session *s, const char *path,
                             bezel_error *err)
{
    (void)s;
    (void)path;
    return bezel_session_new(made, t->model, NULL, err);
}

static bezel_status step_text(bezel_session **made, const tiny_model *t, bezel_session *s, const char *path,
                              bezel_error *err)
{
    (void)made;
    (void)t;
    (void)path;
    return bezel_session_append_text(s, "the User is in", SIZE_MAX, 0, err);
}

static bezel_status step_fork(bezel_session **made, const tiny_model *t, bezel_session *s, const char *path,
                              bezel_error *err)
{
    (void)t;
    (void)path;
    return bezel_session_fork(made, s, err);
}

static bezel_status step_save(bezel_session **made, const tiny_model *t, bezel_session *s, const char *path,
                              bezel_error *err)
{
    (void)made;
    (void)t;
    return bezel_session_save(s, path, err);
}

static bezel_status step_load(bezel_session **made, const tiny_model *t, bezel_session *s, const char *path,
                              bezel_error *err)
{
    (void)made;
    (void)t;
    return bezel_session_load(s, path, err);
}

START_TEST(a_failing_allocation_leaves_the_session_usable_and_nothing_behind)
{
    const memory_step steps[] = {step_new, step_text, step_fork, step_save, step_load};
    tiny_model t;
    test_world tw;
    saved_file file;
    saved_name(&file);
    test_world_init(&tw);
    tiny_model_open(&t, BEZEL_ISA_AUTO, 1, &tw.world);
    bezel_session *s = small_other(&t);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; ++i) {
        bezel_session *made = NULL;
        const int64_t bytes = tw.bytes;
        size_t before, after;
        (void)bezel_session_ids(s, &before);
        for (long n = 1;; ++n) {
            bezel_error err = BEZEL_ERROR_INIT;
            test_world_arm(&tw, n, 0);
            const bezel_status status = steps[i](&made, &t, s, file.path, &err);
            const int failed = tw.n_failed;
            test_world_arm(&tw, 0, 0);
            if (failed == 0) {
                ck_assert_msg(status == BEZEL_OK, "step %zu: %s", i, err.text);
                ck_assert_int_gt(n, 1);
                break;
            }
            ck_assert_msg(status == BEZEL_ERR_MEMORY, "step %zu allocation %ld: %s", i, n, bezel_status_name(status));
            ck_assert_int_eq(tw.bytes, bytes);
            (void)bezel_session_ids(s, &after);
            ck_assert_uint_eq(before, after);
        }
        bezel_session_free(made);
    }
    check_like_fresh(&t, s);
    bezel_session_free(s);
    tiny_model_close(&t);
    ck_assert(test_world_is_clean(&tw));
    remove(file.path);
}
END_TEST

Suite *session_suite(void)
{
    Suite *s = suite_create("session");
    TCase *t = tcase_create("session");
    tcase_set_timeout(t, 600);
    tcase_add_test(t, options_are_checked_and_zeros_are_filled);
    tcase_add_test(t, the_plan_is_what_a_session_takes);
    tcase_add_test(t, what_does_not_fit_or_is_no_token_leaves_the_timeline_alone);
    tcase_add_test(t, text_is_appended_with_and_without_bos);
    tcase_add_test(t, setting_a_timeline_keeps_the_common_prefix);
    tcase_add_test(t, a_rewind_is_right_within_the_slack_and_past_the_ring);
    tcase_add_test(t, a_fork_goes_its_own_way);
    tcase_add_test(t, a_saved_session_goes_on_where_it_was);
    tcase_add_test(t, every_form_of_keys_and_values_is_saved_loaded_and_forked);
    tcase_add_test(t, an_empty_session_can_be_saved_and_loaded);
    tcase_add_test(t, a_damaged_file_is_refused_and_the_session_stays_as_it_was);
    tcase_add_test(t, forged_counts_are_refused_before_they_are_used);
    tcase_add_test(t, a_file_of_another_model_or_other_options_is_refused);
    tcase_add_test(t, not_a_number_in_a_forged_cache_is_an_error_of_the_next_answer);
    tcase_add_test(t, a_path_that_cannot_be_written_is_an_error_and_leaves_no_file);
    tcase_add_test(t, a_failing_allocation_leaves_the_session_usable_and_nothing_behind);
    suite_add_tcase(s, t);
    return s;
}
