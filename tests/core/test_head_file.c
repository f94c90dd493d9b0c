/* SPDX-License-Identifier: MIT */
/* Side file of the output matrix: made, mapped, refused when it is another's or damaged, nothing left behind by failures;
 * two makers at once; the model's thread around it. */
#include <bezel/model.h>

#include <check.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/os.h"
#include "base/rng.h"
#include "compute/quant.h"
#include "model/head_copy.h"
#include "model/head_file.h"
#include "support/model_maker.h"
#include "support/temp_folder.h"
#include "support/test_engine.h"

Suite *head_file_suite(void);

enum { N = 7003, K = 256 }; /* over 2 MiB of nibbles, no multiple of 16 */

typedef struct table {
    test_world tw;
    temp_folder folder;
    char path[512];
    uint8_t *rows;
    bz_tensor matrix;
    double weight[K];
    bz_head_plan plan;
} table;

static table *t;

static void setup(void)
{
    bz_rng rng;
    float row[K];
    t = calloc(1, sizeof *t);
    test_world_init(&t->tw);
    temp_folder_make(&t->folder);
    snprintf(t->path, sizeof t->path, "%s/a.head", t->folder.path);
    bz_rng_seed(&rng, 3);
    const size_t size = bz_quant_row_size(BZ_DTYPE_Q8_0, K);
    t->rows = malloc(N * size);
    for (size_t n = 0; n < N; n++) {
        for (size_t k = 0; k < K; k++)
            row[k] = (float)bz_rng_unit(&rng) - 0.4f;
        bz_quant_encode(t->rows + n * size, row, BZ_DTYPE_Q8_0, K);
    }
    for (size_t k = 0; k < K; k++)
        t->weight[k] = (double)(k * 37 % K);
    t->matrix = (bz_tensor){t->rows, BZ_DTYPE_Q8_0, 2, K, N};
    t->plan = (bz_head_plan){.world = &t->tw.world,
                             .kernel = bz_kernel_find(BEZEL_ISA_SCALAR),
                             .matrix = &t->matrix,
                             .weight = t->weight,
                             .path = t->path,
                             .key = "key of a model!"};
}

static void teardown(void)
{
    temp_folder_remove(&t->folder);
    free(t->rows);
    free(t);
}

static void make(void)
{
    bezel_error err = BEZEL_ERROR_INIT;
    ck_assert_msg(bz_head_file_make(&t->plan, &err) == BEZEL_OK, "%s", err.text);
}

static bezel_status open_and_close(bezel_error *err)
{
    bz_head_file f;
    const bezel_status status = bz_head_file_open(&f, &t->plan, err);
    bz_head_file_close(&f, &t->tw.world);
    return status;
}

START_TEST(what_was_made_is_mapped_with_every_row_in_it)
{
    bz_head_file f;
    bezel_error err = BEZEL_ERROR_INIT;
    float row[K], rows[BZ_SCREEN_ROWS * K];
    uint8_t *block = malloc(bz_screen_block_size(K));
    make();
    ck_assert_int_eq(temp_folder_count(&t->folder, ".new"), 0);
    ck_assert_msg(bz_head_file_open(&f, &t->plan, &err) == BEZEL_OK, "%s", err.text);
    ck_assert_uint_eq(f.map.size, bz_head_file_size(N, K));
    ck_assert_uint_eq(f.screen.N, N);
    ck_assert_uint_eq(f.screen.order[0], 83); /* 83 * 37 = 11 * 256 + 255 */
    for (size_t b = 0; b < bz_screen_blocks(N); b += 19) {
        bz_screen s = f.screen;
        const size_t left = N - b * BZ_SCREEN_ROWS, n = left < BZ_SCREEN_ROWS ? left : BZ_SCREEN_ROWS;
        for (size_t i = 0; i < n; i++)
            bz_quant_decode(rows + i * K, t->rows + (b * BZ_SCREEN_ROWS + i) * bz_tensor_row_size(&t->matrix), BZ_DTYPE_Q8_0, K);
        ck_assert_int_eq(bz_screen_encode(block, &s, rows, n, row), 1);
        ck_assert_mem_eq(block, f.screen.blocks + b * bz_screen_block_size(K), bz_screen_block_size(K));
        ck_assert(s.norm <= f.screen.norm && s.rest <= f.screen.rest && s.heavy <= f.screen.heavy);
    }
    bz_head_file_close(&f, &t->tw.world);
    ck_assert(test_world_is_clean(&t->tw));
    free(block);
}
END_TEST

START_TEST(every_level_makes_the_same_file)
{
    size_t sizes[2];
    make();
    char *first = temp_folder_read(t->path, &sizes[0]);
    t->plan.kernel = bz_kernel_find(BEZEL_ISA_AUTO);
    make();
    char *second = temp_folder_read(t->path, &sizes[1]);
    ck_assert_uint_eq(sizes[0], sizes[1]);
    ck_assert_mem_eq(first, second, sizes[0]);
    free(first);
    free(second);
}
END_TEST

START_TEST(a_changed_byte_anywhere_is_found)
{
    size_t size;
    make();
    char *bytes = temp_folder_read(t->path, &size);
    for (size_t i = 0; i < 80; i++) {
        const size_t at = i < 40 ? i * 2 : i < 60 ? size - 1 - (i - 40) * 997 : 4096 + (i - 60) * 50021;
        bezel_error err = BEZEL_ERROR_INIT;
        bytes[at] ^= 0x10;
        temp_folder_write(t->path, bytes, size);
        const bezel_status status = open_and_close(&err);
        ck_assert_msg(status == BEZEL_ERR_CHECKSUM || (at < 12 && status == BEZEL_ERR_VERSION), "byte %zu: %s", at,
                      bezel_status_name(status));
        bytes[at] ^= 0x10;
    }
    temp_folder_write(t->path, bytes, size);
    ck_assert_int_eq(open_and_close(NULL), BEZEL_OK);
    free(bytes);
    ck_assert(test_world_is_clean(&t->tw));
}
END_TEST

START_TEST(a_file_of_another_model_or_size_or_none_is_refused)
{
    size_t size;
    ck_assert_int_eq(open_and_close(NULL), BEZEL_ERR_MISSING);
    make();
    t->plan.key[3] ^= 1;
    ck_assert_int_eq(open_and_close(NULL), BEZEL_ERR_FORMAT);
    t->plan.key[3] ^= 1;
    t->matrix.N = N - 20;
    ck_assert_int_eq(open_and_close(NULL), BEZEL_ERR_TRUNCATED);
    t->matrix.N = N - 1; /* the same number of blocks */
    ck_assert_int_eq(open_and_close(NULL), BEZEL_ERR_FORMAT);
    t->matrix.N = N;
    char *bytes = temp_folder_read(t->path, &size);
    temp_folder_write(t->path, bytes, size - 1);
    ck_assert_int_eq(open_and_close(NULL), BEZEL_ERR_TRUNCATED);
    temp_folder_write(t->path, bytes, 0);
    ck_assert_int_eq(open_and_close(NULL), BEZEL_ERR_TRUNCATED);
    free(bytes);
    ck_assert(test_world_is_clean(&t->tw));
}
END_TEST

START_TEST(a_failing_file_call_leaves_nothing_and_the_next_try_works)
{
    static const bezel_status failures[] = {BEZEL_ERR_IO, BEZEL_ERR_FULL, BEZEL_ERR_DENIED};
    long n = 1;
    for (;; n++) {
        bezel_error err = BEZEL_ERROR_INIT;
        test_world_arm_file(&t->tw, n, failures[n % 3]);
        const bezel_status status = bz_head_file_make(&t->plan, &err);
        if (status == BEZEL_OK)
            break;
        ck_assert_int_eq(status, failures[n % 3]);
        ck_assert_str_ne(err.text, "");
        ck_assert_int_eq(temp_folder_count(&t->folder, "a.head"), 0);
        ck_assert(test_world_is_clean(&t->tw));
        ck_assert_int_lt(n, 100);
    }
    ck_assert_int_ge(n, 5);
    for (n = 1;; n++) {
        test_world_arm_file(&t->tw, n, BEZEL_ERR_IO);
        if (open_and_close(NULL) == BEZEL_OK)
            break;
        ck_assert(test_world_is_clean(&t->tw));
        ck_assert_int_lt(n, 100);
    }
    ck_assert_int_ge(n, 3);
}
END_TEST

static bezel_status make_and_open(test_world *tw, void *ctx)
{
    bezel_error err = BEZEL_ERROR_INIT;
    (void)tw;
    (void)ctx;
    const bezel_status status = bz_head_file_make(&t->plan, &err);
    return status == BEZEL_OK ? open_and_close(&err) : status;
}

START_TEST(a_failing_allocation_leaves_nothing)
{
    t->matrix.N = 333;
    ck_assert_int_ge(test_world_sweep(&t->tw, make_and_open, NULL, BEZEL_OK), 8);
}
END_TEST

START_TEST(a_weight_that_is_no_number_or_a_cancel_ends_the_making)
{
    atomic_int cancel = 1;
    t->plan.cancel = &cancel;
    ck_assert_int_eq(bz_head_file_make(&t->plan, NULL), BEZEL_ERR_CANCELLED);
    t->plan.cancel = NULL;
    make();
    t->plan.cancel = &cancel;
    ck_assert_int_eq(open_and_close(NULL), BEZEL_ERR_CANCELLED);
    t->plan.cancel = NULL;
    const uint16_t nan_half = 0x7e00;
    memcpy(t->rows + 5000 * bz_tensor_row_size(&t->matrix), &nan_half, 2);
    ck_assert_int_eq(bz_head_file_make(&t->plan, NULL), BEZEL_ERR_NUMERIC);
    ck_assert_int_eq(temp_folder_count(&t->folder, ".new"), 0);
    ck_assert_int_eq(temp_folder_count(&t->folder, "a.head"), 1);
}
END_TEST

static void make_in_thread(void *status)
{
    bezel_error err = BEZEL_ERROR_INIT;
    *(bezel_status *)status = bz_head_file_make(&t->plan, &err);
}

START_TEST(two_makers_at_once_leave_one_good_file)
{
    const bezel_world *w = &t->tw.world;
    for (int round = 0; round < 5; round++) {
        bezel_thread *threads[2];
        bezel_status status[2];
        remove(t->path);
        for (int i = 0; i < 2; i++)
            ck_assert_int_eq(w->thread_start(w->ud, &threads[i], "maker", make_in_thread, &status[i]), BEZEL_OK);
        for (int i = 0; i < 2; i++)
            w->thread_join(w->ud, threads[i]);
        ck_assert_msg(status[0] == BEZEL_OK && status[1] == BEZEL_OK, "%d %d", status[0], status[1]);
        ck_assert_int_eq(open_and_close(NULL), BEZEL_OK);
        ck_assert_int_eq(temp_folder_count(&t->folder, ".new"), 0);
    }
}
END_TEST

/* --- In a model ---------------------------------------------------------------------------- */

static bezel_status open_model(bezel_model **out, bezel_engine *e, const char *path, const char *folder, bezel_error *err)
{
    bezel_model_options o;
    bezel_model_options_init(&o);
    o.cache_folder = folder;
    o.raw_weights = 1;
    return bezel_model_open(out, e, path, &o, err);
}

static void maker_for(model_maker *k, char path[MODEL_MAKER_PATH])
{
    model_maker_init(k, 4);
    k->D = 256;
    model_maker_file(k, path);
}

static void damage_only_file(void)
{
    char pattern[512];
    glob_t found;
    size_t size;
    snprintf(pattern, sizeof pattern, "%s/*.head", t->folder.path);
    ck_assert_int_eq(glob(pattern, 0, NULL, &found), 0);
    ck_assert_uint_eq(found.gl_pathc, 1);
    char *bytes = temp_folder_read(found.gl_pathv[0], &size);
    bytes[size / 2] ^= 1;
    temp_folder_write(found.gl_pathv[0], bytes, size);
    free(bytes);
    globfree(&found);
}

START_TEST(a_model_makes_its_file_once_and_repairs_it)
{
    bezel_error err = BEZEL_ERROR_INIT;
    model_maker k;
    char path[MODEL_MAKER_PATH];
    bezel_model *m;
    maker_for(&k, path);
    bezel_engine *e = test_engine_new(&t->tw, 1, BEZEL_ISA_AUTO);
    long writes[3];
    for (int i = 0; i < 3; i++) { /* made, mapped, made again */
        ck_assert_msg(open_model(&m, e, path, t->folder.path, &err) == BEZEL_OK, "%s", err.text);
        ck_assert_ptr_null(bz_head_copy_get(m->head_copy, 0));
        test_world_arm_file(&t->tw, 0, BEZEL_ERR_IO);
        ck_assert_msg(bezel_model_prepare(m, &err) == BEZEL_OK, "%s", err.text);
        writes[i] = t->tw.n_file_calls;
        ck_assert_ptr_nonnull(bz_head_copy_get(m->head_copy, 0));
        ck_assert_int_eq(bezel_model_prepare(m, &err), BEZEL_OK);
        ck_assert_int_eq(temp_folder_count(&t->folder, ".head") - temp_folder_count(&t->folder, ".head.used"), 1);
        bezel_model_free(m);
        if (i == 1)
            damage_only_file();
    }
    ck_assert_int_lt(writes[1], writes[0]);
    ck_assert_int_gt(writes[2], writes[0]);
    bezel_engine_free(e);
    remove(path);
    ck_assert(test_world_is_clean(&t->tw));
}
END_TEST

/* Files of another version have the name of the new one; those of other models go when nobody used them for long. */
START_TEST(making_a_file_replaces_old_versions_and_removes_what_nobody_uses)
{
    static const char *const names[] = {"old.head", "old.head.used", "killed.head.new-0123456789abcdef", "used.head", "mine.txt"};
    const struct timespec long_ago[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    bezel_error err = BEZEL_ERROR_INIT;
    model_maker k;
    char path[MODEL_MAKER_PATH];
    bezel_model *m;
    maker_for(&k, path);
    bezel_engine *e = test_engine_new(&t->tw, 1, BEZEL_ISA_AUTO);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *file = temp_folder_file(&t->folder, names[i]);
        temp_folder_write(file, "x", 1);
        if (i != 3)
            ck_assert_int_eq(utimensat(AT_FDCWD, file, long_ago, 0), 0);
    }
    ck_assert_msg(open_model(&m, e, path, t->folder.path, &err) == BEZEL_OK, "%s", err.text);
    ck_assert_msg(bezel_model_prepare(m, &err) == BEZEL_OK, "%s", err.text);
    bezel_model_free(m);
    ck_assert_int_eq(temp_folder_count(&t->folder, "old.head"), 0);
    ck_assert_int_eq(temp_folder_count(&t->folder, "killed.head"), 0);
    ck_assert_int_eq(temp_folder_count(&t->folder, "used.head"), 1);
    ck_assert_int_eq(temp_folder_count(&t->folder, "mine.txt"), 1);
    bezel_engine_free(e);
    remove(path);
    ck_assert(test_world_is_clean(&t->tw));
}
END_TEST

START_TEST(a_model_without_a_usable_folder_or_matrix_works_without)
{
    static const char *const folders[] = {NULL, "", "/nowhere/to/be/found"};
    bezel_error err = BEZEL_ERROR_INIT;
    model_maker k;
    char path[MODEL_MAKER_PATH];
    bezel_model *m;
    maker_for(&k, path);
    bezel_engine *e = test_engine_new(&t->tw, 1, BEZEL_ISA_AUTO);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(open_model(&m, e, path, folders[i], &err), BEZEL_OK);
        ck_assert_int_eq(bezel_model_prepare(m, &err), i < 2 ? BEZEL_ERR_UNSUPPORTED : BEZEL_ERR_MISSING);
        ck_assert_ptr_null(bz_head_copy_get(m->head_copy, 1));
        bezel_model_free(m);
    }
    ck_assert_int_eq(bezel_model_prepare(NULL, &err), BEZEL_ERR_ARGUMENT);
    test_world_arm(&t->tw, 0, 0);
    ck_assert_int_eq(open_model(&m, e, path, t->folder.path, &err), BEZEL_OK);
    t->tw.n_thread_starts = 0;
    t->tw.fail_thread_start = 1;
    ck_assert_int_lt(bezel_model_prepare(m, &err), 0);
    bezel_model_free(m);
    remove(path);
    model_maker_init(&k, 4); /* width 64: no more than the heavy dimensions */
    model_maker_file(&k, path);
    ck_assert_int_eq(open_model(&m, e, path, t->folder.path, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_model_prepare(m, &err), BEZEL_ERR_UNSUPPORTED);
    bezel_model_free(m);
    bezel_engine_free(e);
    remove(path);
    ck_assert(test_world_is_clean(&t->tw));
}
END_TEST

static bezel_status open_once(test_world *tw, void *path)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_engine *e;
    bezel_model *m = NULL;
    bezel_status status = test_engine_try(&e, tw, 1, BEZEL_ISA_AUTO, &err);
    if (status != BEZEL_OK)
        return status;
    status = open_model(&m, e, path, t->folder.path, &err);
    bezel_model_free(m);
    bezel_engine_free(e);
    /* what only tidying the folder lacks memory for is no failure of the load */
    return status == BEZEL_OK && atomic_load(&tw->n_failed) > 0 ? BEZEL_ERR_MEMORY : status;
}

START_TEST(opening_with_a_cache_folder_survives_every_failing_allocation)
{
    model_maker k;
    char path[MODEL_MAKER_PATH];
    maker_for(&k, path);
    test_world_sweep(&t->tw, open_once, path, BEZEL_OK);
    remove(path);
}
END_TEST

START_TEST(a_model_may_be_freed_while_its_file_is_made)
{
    bezel_error err = BEZEL_ERROR_INIT;
    model_maker k;
    char path[MODEL_MAKER_PATH];
    maker_for(&k, path);
    bezel_engine *e = test_engine_new(&t->tw, 1, BEZEL_ISA_AUTO);
    for (int i = 0; i < 20; i++) {
        bezel_model *m;
        ck_assert_int_eq(open_model(&m, e, path, t->folder.path, &err), BEZEL_OK);
        (void)bz_head_copy_get(m->head_copy, 1);
        bezel_model_free(m);
        ck_assert_int_eq(temp_folder_count(&t->folder, ".new"), 0);
    }
    bezel_engine_free(e);
    remove(path);
    ck_assert(test_world_is_clean(&t->tw));
}
END_TEST

Suite *head_file_suite(void)
{
    Suite *s = suite_create("head_file");
    TCase *c = tcase_create("file");
    tcase_set_timeout(c, 120);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, what_was_made_is_mapped_with_every_row_in_it);
    tcase_add_test(c, every_level_makes_the_same_file);
    tcase_add_test(c, a_changed_byte_anywhere_is_found);
    tcase_add_test(c, a_file_of_another_model_or_size_or_none_is_refused);
    tcase_add_test(c, a_failing_file_call_leaves_nothing_and_the_next_try_works);
    tcase_add_test(c, a_failing_allocation_leaves_nothing);
    tcase_add_test(c, a_weight_that_is_no_number_or_a_cancel_ends_the_making);
    tcase_add_test(c, two_makers_at_once_leave_one_good_file);
    tcase_add_test(c, a_model_makes_its_file_once_and_repairs_it);
    tcase_add_test(c, making_a_file_replaces_old_versions_and_removes_what_nobody_uses);
    tcase_add_test(c, a_model_without_a_usable_folder_or_matrix_works_without);
    tcase_add_test(c, opening_with_a_cache_folder_survives_every_failing_allocation);
    tcase_add_test(c, a_model_may_be_freed_while_its_file_is_made);
    suite_add_tcase(s, c);
    return s;
}
