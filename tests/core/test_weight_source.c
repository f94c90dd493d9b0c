/* SPDX-License-Identifier: MIT */
/* One view over whole and split files: parts that belong together, parts that do not, and faults while they are opened. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "format/weight_source.h"
#include "support/model_maker.h"
#include "support/temp_folder.h"
#include "support/test_engine.h"

#define N_PARTS 3u

static test_world tw;
static temp_folder folder;
static model_maker maker;
static bezel_error err;

static void setup(void)
{
    test_world_init(&tw);
    temp_folder_make(&folder);
    model_maker_init(&maker, 11);
    maker.layers = 2;
    err = (bezel_error)BEZEL_ERROR_INIT;
}

static void teardown(void)
{
    temp_folder_remove(&folder);
    ck_assert(test_world_is_clean(&tw));
}

static const char *part_name(uint32_t no)
{
    static char name[64];
    snprintf(name, sizeof name, "made-%05u-of-%05u.gguf", (unsigned)no + 1, N_PARTS);
    return temp_folder_file(&folder, name);
}

/* Writes part `no` as the maker stands; under the name of part `place`. */
static void write_part(uint32_t no, uint32_t place)
{
    size_t size = 0;
    void *bytes;
    maker.split_no = no;
    maker.split_count = N_PARTS;
    bytes = model_maker_bytes(&maker, &size);
    temp_folder_write(part_name(place), bytes, size);
    free(bytes);
}

static void write_parts(void)
{
    for (uint32_t i = 0; i < N_PARTS; i++)
        write_part(i, i);
}

static bezel_status open_path(bz_weight_source **out, const char *path)
{
    char copy[512];
    snprintf(copy, sizeof copy, "%s", path);
    return bz_weight_source_open(out, &tw.world, copy, NULL, NULL, &err);
}

static void expect_refused(bezel_status expected, const char *word)
{
    bz_weight_source *s = NULL;
    bezel_status status = open_path(&s, part_name(0));
    ck_assert_msg(status == expected, "%s %s, expected %s", bezel_status_name(status), err.text, bezel_status_name(expected));
    ck_assert_msg(strstr(err.text, word) != NULL, "\"%s\" lacks \"%s\"", err.text, word);
    ck_assert_ptr_null(s);
}

/* --- Whole and split ---------------------------------------------------------------------- */

START_TEST(a_split_file_is_the_whole_file)
{
    bz_weight_source *whole = NULL, *split = NULL;
    size_t size = 0;
    void *bytes = model_maker_bytes(&maker, &size);
    char path[512];
    snprintf(path, sizeof path, "%s", temp_folder_file(&folder, "whole.gguf"));
    temp_folder_write(path, bytes, size);
    free(bytes);
    write_parts();
    ck_assert_msg(open_path(&whole, path) == BEZEL_OK, "%s", err.text);
    ck_assert_msg(open_path(&split, part_name(0)) == BEZEL_OK, "%s", err.text);
    ck_assert_uint_eq(bz_weight_source_parts(split), N_PARTS);
    ck_assert_uint_eq(bz_weight_source_count(split), bz_weight_source_count(whole));
    ck_assert_uint_eq(bz_weight_source_file_size(whole), size);
    ck_assert_int_eq(bz_weight_source_map(whole, &err), BEZEL_OK);
    while (bz_weight_source_read(split, &err) == BEZEL_MORE) { /* one mapped, the other read */
    }
    ck_assert_double_eq(bz_weight_source_progress(split), 1.0);
    for (uint32_t i = 0; i < bz_weight_source_count(whole); i++) {
        bz_weight_entry a = bz_weight_source_at(whole, i), b = bz_weight_source_at(split, i);
        ck_assert_uint_eq(a.tensor->name_size, b.tensor->name_size);
        ck_assert_int_eq(memcmp(bz_gguf_tensor_name(a.gguf, a.tensor), bz_gguf_tensor_name(b.gguf, b.tensor),
                                a.tensor->name_size), 0);
        ck_assert_uint_eq(a.tensor->size, b.tensor->size);
        ck_assert_int_eq(memcmp(bz_weight_source_data(whole, a), bz_weight_source_data(split, b), (size_t)a.tensor->size), 0);
    }
    ck_assert_int_eq(bz_weight_source_verify(split, &err), BEZEL_OK);
    ck_assert_int_eq(atomic_load(&tw.files), 1); /* verify closed the parts */
    bz_weight_source_free(whole);
    bz_weight_source_free(split);
}
END_TEST

START_TEST(a_missing_part_is_named)
{
    write_parts();
    unlink(part_name(2));
    expect_refused(BEZEL_ERR_MISSING, "made-00003-of-00003.gguf");
}
END_TEST

START_TEST(another_part_than_the_first_cannot_be_opened)
{
    bz_weight_source *s = NULL;
    write_parts();
    ck_assert_int_eq(open_path(&s, part_name(1)), BEZEL_ERR_RANGE);
    ck_assert_ptr_nonnull(strstr(err.hint, "-00001-of-00003.gguf"));
}
END_TEST

START_TEST(a_part_in_the_place_of_another_is_refused)
{
    write_parts();
    write_part(2, 1);
    expect_refused(BEZEL_ERR_RANGE, "split.no");
}
END_TEST

START_TEST(a_first_part_under_another_name_is_refused)
{
    bz_weight_source *s = NULL;
    char path[512];
    write_parts();
    snprintf(path, sizeof path, "%s", temp_folder_file(&folder, "renamed.gguf"));
    ck_assert_int_eq(rename(part_name(0), path), 0);
    ck_assert_int_eq(open_path(&s, path), BEZEL_ERR_MISSING);
    ck_assert_ptr_nonnull(strstr(err.text, "-00001-of-00003.gguf"));
}
END_TEST

START_TEST(a_part_without_its_numbers_is_refused)
{
    write_parts();
    maker.skip_key = "split.count";
    write_part(1, 1);
    expect_refused(BEZEL_ERR_MISSING, "split.count");
}
END_TEST

static void other_architecture(bz_gguf_writer *g, void *ud)
{
    bz_gguf_writer_text(g, "general.architecture", ud, SIZE_MAX);
}

START_TEST(a_part_of_another_model_is_refused)
{
    write_parts();
    maker.extra = other_architecture;
    maker.extra_ud = "llama";
    write_part(1, 1);
    expect_refused(BEZEL_ERR_RANGE, "another model");
}
END_TEST

START_TEST(a_tensor_in_two_parts_is_refused)
{
    size_t size = 0;
    void *bytes;
    bz_gguf_writer *g = NULL;
    static const float data[8];
    static const uint64_t dims[] = {8};
    write_parts();
    ck_assert_int_eq(bz_gguf_writer_new(&g, &tw.world, NULL), BEZEL_OK);
    bz_gguf_writer_uint(g, "split.no", BZ_GGUF_U16, 1);
    bz_gguf_writer_uint(g, "split.count", BZ_GGUF_U16, N_PARTS);
    /* as many tensors as the part had, so that the total is right */
    for (uint32_t i = 0, n = 0; model_maker_tensor(&maker, i); i++) {
        char name[64];
        if (i % N_PARTS != 1)
            continue;
        snprintf(name, sizeof name, n++ ? "extra.%u" : "token_embd.weight", (unsigned)i);
        bz_gguf_writer_tensor(g, name, 0, 1, dims, data, sizeof data);
    }
    ck_assert_int_eq(bz_gguf_writer_memory(&bytes, &size, g, NULL), BEZEL_OK);
    temp_folder_write(part_name(1), bytes, size);
    bz_gguf_writer_free(g);
    expect_refused(BEZEL_ERR_DUPLICATE, "token_embd.weight");
    bz_free(&tw.world, bytes);
}
END_TEST

static void add_split_count(bz_gguf_writer *g, void *ud)
{
    const int64_t *n = ud;
    bz_gguf_writer_uint(g, "split.count", BZ_GGUF_I64, (uint64_t)*n);
}

START_TEST(impossible_numbers_of_parts_are_refused)
{
    static const int64_t counts[] = {0, -1, 65535, 513, INT64_MAX};
    write_parts();
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        int64_t n = counts[i];
        maker.skip_key = "split.count";
        maker.extra = add_split_count;
        maker.extra_ud = &n;
        write_part(0, 0);
        expect_refused(BEZEL_ERR_RANGE, "split.count");
    }
}
END_TEST

START_TEST(a_total_that_differs_is_refused)
{
    model_maker fewer;
    write_parts();
    fewer = maker;
    fewer.spoil = "blk.1.ffn_norm.weight";
    fewer.spoil_how = MODEL_MAKER_LEAVE_OUT;
    maker = fewer;
    write_parts();
    expect_refused(BEZEL_ERR_RANGE, "split.tensors.count");
}
END_TEST

static bezel_status read_bytes(void *ud, uint64_t offset, void *buffer, size_t size)
{
    memcpy(buffer, (const uint8_t *)ud + offset, size);
    return BEZEL_OK;
}

START_TEST(a_host_cannot_deliver_a_split_file_nor_a_mapping)
{
    bz_weight_source *s = NULL;
    bz_weight_host host = {read_bytes, NULL, 0};
    size_t size = 0;
    maker.split_count = N_PARTS;
    host.ud = model_maker_bytes(&maker, &size);
    host.size = size;
    ck_assert_int_eq(bz_weight_source_open(&s, &tw.world, "made-00001-of-00003.gguf", &host, NULL, &err),
                     BEZEL_ERR_UNSUPPORTED);
    free(host.ud);
    maker.split_count = 0;
    host.ud = model_maker_bytes(&maker, &size);
    host.size = size;
    ck_assert_int_eq(bz_weight_source_open(&s, &tw.world, "x", &host, NULL, &err), BEZEL_OK);
    ck_assert_int_eq(bz_weight_source_map(s, &err), BEZEL_ERR_UNSUPPORTED);
    bz_weight_source_free(s);
    free(host.ud);
}
END_TEST

/* --- Faults ------------------------------------------------------------------------------- */

static bezel_status try_split(test_world *world, void *ctx)
{
    bezel_error e = BEZEL_ERROR_INIT;
    bz_weight_source *s = NULL;
    bezel_status status = bz_weight_source_open(&s, &world->world, ctx, NULL, NULL, &e);
    if (status == BEZEL_OK) {
        do {
            status = bz_weight_source_read(s, &e);
        } while (status == BEZEL_MORE);
    }
    if (status == BEZEL_OK)
        status = bz_weight_source_verify(s, &e);
    bz_weight_source_free(s);
    return status;
}

START_TEST(every_failing_allocation_of_a_split_file_is_an_error_without_leak)
{
    char path[512];
    write_parts();
    snprintf(path, sizeof path, "%s", part_name(0));
    ck_assert_int_gt(test_world_sweep(&tw, try_split, path, BEZEL_OK), 20);
}
END_TEST

START_TEST(every_failing_file_call_of_a_split_file_is_that_error)
{
    char path[512];
    write_parts();
    snprintf(path, sizeof path, "%s", part_name(0));
    for (long n = 1;; n++) {
        bezel_status status;
        test_world_arm_file(&tw, n, BEZEL_ERR_DENIED);
        status = try_split(&tw, path);
        ck_assert(test_world_is_clean(&tw));
        if (atomic_load(&tw.n_file_calls) < n) {
            ck_assert_int_eq(status, BEZEL_OK);
            return;
        }
        ck_assert_int_eq(status, BEZEL_ERR_DENIED);
    }
}
END_TEST

Suite *weight_source_suite(void)
{
    Suite *s = suite_create("weight_source");
    TCase *t = tcase_create("parts");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_split_file_is_the_whole_file);
    tcase_add_test(t, a_missing_part_is_named);
    tcase_add_test(t, another_part_than_the_first_cannot_be_opened);
    tcase_add_test(t, a_part_in_the_place_of_another_is_refused);
    tcase_add_test(t, a_first_part_under_another_name_is_refused);
    tcase_add_test(t, a_part_without_its_numbers_is_refused);
    tcase_add_test(t, a_part_of_another_model_is_refused);
    tcase_add_test(t, a_tensor_in_two_parts_is_refused);
    tcase_add_test(t, impossible_numbers_of_parts_are_refused);
    tcase_add_test(t, a_total_that_differs_is_refused);
    tcase_add_test(t, a_host_cannot_deliver_a_split_file_nor_a_mapping);
    tcase_add_test(t, every_failing_allocation_of_a_split_file_is_an_error_without_leak);
    tcase_add_test(t, every_failing_file_call_of_a_split_file_is_that_error);
    suite_add_tcase(s, t);
    return s;
}
