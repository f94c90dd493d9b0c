/* SPDX-License-Identifier: MIT */
/* What the writer writes, the reader reads: values of every type, tensors at any alignment, to memory and to a file. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/dtype.h"
#include "format/gguf_writer.h"
#include "format/weight_source.h"
#include "support/temp_folder.h"
#include "support/test_world.h"

static test_world tw;
static bz_gguf_writer *writer;

static void setup(void)
{
    test_world_init(&tw);
    ck_assert_int_eq(bz_gguf_writer_new(&writer, &tw.world, NULL), BEZEL_OK);
}

static void teardown(void)
{
    bz_gguf_writer_free(writer);
    ck_assert(test_world_is_clean(&tw));
}

static bezel_status read_bytes(void *ud, uint64_t offset, void *buffer, size_t size)
{
    memcpy(buffer, (const uint8_t *)ud + offset, size);
    return BEZEL_OK;
}

/* Reads what the writer made; the source must be freed, then *bytes. */
static bz_weight_source *read_back(void **bytes)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bz_weight_source *s = NULL;
    bz_weight_host host = {read_bytes, NULL, 0};
    size_t size = 0;
    ck_assert_msg(bz_gguf_writer_memory(bytes, &size, writer, &err) == BEZEL_OK, "%s", err.text);
    host.ud = *bytes;
    host.size = size;
    ck_assert_msg(bz_weight_source_open(&s, &tw.world, "written", &host, NULL, &err) == BEZEL_OK, "%s", err.text);
    return s;
}

START_TEST(values_of_every_type_come_back)
{
    static const uint16_t shorts[] = {1, 2, 65535};
    static const double doubles[] = {0.5, -1e300};
    static const uint8_t truths[] = {1, 0, 1};
    static const char *const texts[] = {"", "one", "two\0three"};
    static const uint32_t sizes[] = {0, 3, 9};
    void *bytes = NULL;
    bz_weight_source *s;
    const bz_gguf *g;
    const char *text = NULL;
    size_t size = 0, n = 0;
    uint64_t u = 0, at = 0;
    int64_t i = 0;
    double x = 0;
    int truth = 0;
    bz_gguf_writer_uint(writer, "u8", BZ_GGUF_U8, 255);
    bz_gguf_writer_uint(writer, "i8", BZ_GGUF_I8, (uint64_t)-5);
    bz_gguf_writer_uint(writer, "u64", BZ_GGUF_U64, UINT64_MAX);
    bz_gguf_writer_uint(writer, "i64", BZ_GGUF_I64, (uint64_t)INT64_MIN);
    bz_gguf_writer_uint(writer, "truth", BZ_GGUF_BOOL, 1);
    bz_gguf_writer_float(writer, "f32", BZ_GGUF_F32, 0.1);
    bz_gguf_writer_float(writer, "f64", BZ_GGUF_F64, 0.1);
    bz_gguf_writer_text(writer, "text", "caf\xc3\xa9", SIZE_MAX);
    bz_gguf_writer_array(writer, "shorts", BZ_GGUF_U16, shorts, 3);
    bz_gguf_writer_array(writer, "doubles", BZ_GGUF_F64, doubles, 2);
    bz_gguf_writer_array(writer, "truths", BZ_GGUF_BOOL, truths, 3);
    bz_gguf_writer_texts(writer, "texts", texts, sizes, 3);
    bz_gguf_writer_array(writer, "empty", BZ_GGUF_U32, NULL, 0);
    s = read_back(&bytes);
    g = bz_weight_source_metadata(s);
    ck_assert_uint_eq(g->n_values, 13);
    ck_assert(bz_gguf_uint(&u, g, bz_gguf_find(g, "u8"), NULL) == BEZEL_OK && u == 255);
    ck_assert(bz_gguf_int(&i, g, bz_gguf_find(g, "i8"), NULL) == BEZEL_OK && i == -5);
    ck_assert(bz_gguf_uint(&u, g, bz_gguf_find(g, "u64"), NULL) == BEZEL_OK && u == UINT64_MAX);
    ck_assert_int_eq(bz_gguf_int(&i, g, bz_gguf_find(g, "u64"), NULL), BEZEL_ERR_RANGE);
    ck_assert(bz_gguf_int(&i, g, bz_gguf_find(g, "i64"), NULL) == BEZEL_OK && i == INT64_MIN);
    ck_assert(bz_gguf_bool(&truth, g, bz_gguf_find(g, "truth"), NULL) == BEZEL_OK && truth == 1);
    ck_assert(bz_gguf_float(&x, g, bz_gguf_find(g, "f32"), NULL) == BEZEL_OK && x == (double)0.1f);
    ck_assert(bz_gguf_float(&x, g, bz_gguf_find(g, "f64"), NULL) == BEZEL_OK && x == 0.1);
    ck_assert_int_eq(bz_gguf_text(&text, &size, g, bz_gguf_find(g, "text"), NULL), BEZEL_OK);
    ck_assert(size == 5 && memcmp(text, "caf\xc3\xa9", 5) == 0);
    ck_assert(bz_gguf_item(&i, g, bz_gguf_find(g, "shorts"), 2, NULL) == BEZEL_OK && i == 65535);
    ck_assert(bz_gguf_item(&i, g, bz_gguf_find(g, "truths"), 1, NULL) == BEZEL_OK && i == 0);
    ck_assert_uint_eq(bz_gguf_find(g, "doubles")->size, 16);
    while (bz_gguf_next_text(&text, &size, g, bz_gguf_find(g, "texts"), &at))
        ck_assert(size == sizes[n] && memcmp(text, texts[n], size) == 0 && n++ < 3);
    ck_assert_uint_eq(n, 3);
    ck_assert_uint_eq(bz_gguf_find(g, "empty")->count, 0);
    bz_weight_source_free(s);
    bz_free(&tw.world, bytes);
}
END_TEST

START_TEST(tensors_lie_aligned_and_hold_their_bytes)
{
    static const uint32_t alignments[] = {8, 16, 32, 64, 4096};
    static const uint64_t dims[] = {5, 3}, flat[] = {7};
    uint8_t a[60], b[28];
    void *bytes = NULL;
    bz_weight_source *s;
    bz_weight_entry e = {NULL, NULL, 0};
    bezel_status status;
    for (size_t i = 0; i < sizeof a; i++)
        a[i] = (uint8_t)(i + 1);
    memset(b, 0xEE, sizeof b);
    bz_gguf_writer_alignment(writer, alignments[_i]);
    bz_gguf_writer_tensor(writer, "a", BZ_DTYPE_F32, 2, dims, a, sizeof a);
    bz_gguf_writer_tensor(writer, "b", BZ_DTYPE_F32, 1, flat, b, sizeof b);
    s = read_back(&bytes);
    ck_assert_uint_eq(bz_weight_source_metadata(s)->alignment, alignments[_i]);
    ck_assert_int_eq(bz_weight_source_find(&e, s, "a"), 1);
    ck_assert_ptr_null(bz_weight_source_data(s, e));
    while ((status = bz_weight_source_read(s, NULL)) == BEZEL_MORE) {
    }
    ck_assert_int_eq(status, BEZEL_OK);
    ck_assert_int_eq(memcmp(bz_weight_source_data(s, e), a, sizeof a), 0);
    ck_assert_uint_eq(e.tensor->offset % alignments[_i], 0);
    ck_assert_int_eq(bz_weight_source_find(&e, s, "b"), 1);
    ck_assert_int_eq(memcmp(bz_weight_source_data(s, e), b, sizeof b), 0);
    ck_assert_uint_eq(e.tensor->offset % alignments[_i], 0);
    ck_assert_int_eq(bz_weight_source_find(&e, s, "c"), 0);
    bz_weight_source_free(s);
    bz_free(&tw.world, bytes);
}
END_TEST

START_TEST(wrong_use_is_told_at_the_end)
{
    void *bytes = NULL;
    size_t size = 0;
    switch (_i) {
    case 0: bz_gguf_writer_uint(writer, "x", BZ_GGUF_F32, 1); break;
    case 1: bz_gguf_writer_uint(writer, "x", BZ_GGUF_TEXT, 1); break;
    case 2: bz_gguf_writer_float(writer, "x", BZ_GGUF_U32, 1); break;
    case 3: bz_gguf_writer_array(writer, "x", BZ_GGUF_ARRAY, NULL, 0); break;
    default: bz_gguf_writer_alignment(writer, 24); break;
    }
    ck_assert_int_eq(bz_gguf_writer_memory(&bytes, &size, writer, NULL), BEZEL_ERR_ARGUMENT);
    ck_assert_ptr_null(bytes);
}
END_TEST

/* --- Files -------------------------------------------------------------------------------- */

static void fill(bz_gguf_writer *g)
{
    static const uint8_t data[40] = {1, 2, 3};
    static const uint64_t dims[] = {10};
    bz_gguf_writer_text(g, "general.architecture", "none", SIZE_MAX);
    bz_gguf_writer_tensor(g, "t", BZ_DTYPE_F32, 1, dims, data, sizeof data);
    bz_gguf_writer_tensor(g, "u", BZ_DTYPE_F32, 1, dims, data, sizeof data);
}

START_TEST(a_file_has_the_same_bytes_as_memory_and_replaces_what_was_there)
{
    bezel_error err = BEZEL_ERROR_INIT;
    temp_folder folder;
    char path[512];
    void *bytes = NULL;
    char *file;
    size_t size = 0, file_size = 0;
    temp_folder_make(&folder);
    snprintf(path, sizeof path, "%s", temp_folder_file(&folder, "a.gguf"));
    temp_folder_write(path, "old", 3);
    fill(writer);
    ck_assert_msg(bz_gguf_writer_file(writer, path, &err) == BEZEL_OK, "%s", err.text);
    ck_assert_int_eq(bz_gguf_writer_memory(&bytes, &size, writer, &err), BEZEL_OK);
    file = temp_folder_read(path, &file_size);
    ck_assert_uint_eq(file_size, size);
    ck_assert_int_eq(memcmp(file, bytes, size), 0);
    ck_assert_int_eq(temp_folder_count(&folder, ".tmp"), 0);
    free(file);
    bz_free(&tw.world, bytes);
    temp_folder_remove(&folder);
}
END_TEST

START_TEST(every_failing_file_call_leaves_the_old_file_and_no_other)
{
    temp_folder folder;
    char path[512];
    temp_folder_make(&folder);
    snprintf(path, sizeof path, "%s", temp_folder_file(&folder, "a.gguf"));
    fill(writer);
    for (long n = 1;; n++) {
        bezel_error err = BEZEL_ERROR_INIT;
        bezel_status status;
        char *file;
        size_t size = 0;
        temp_folder_write(path, "old", 3);
        test_world_arm_file(&tw, n, BEZEL_ERR_FULL);
        status = bz_gguf_writer_file(writer, path, &err);
        if (atomic_load(&tw.n_file_calls) < n) {
            ck_assert_int_eq(status, BEZEL_OK);
            break;
        }
        ck_assert_int_eq(status, BEZEL_ERR_FULL);
        ck_assert_ptr_nonnull(strstr(err.text, path));
        file = temp_folder_read(path, &size);
        ck_assert(size == 3 && memcmp(file, "old", 3) == 0);
        ck_assert_int_eq(temp_folder_count(&folder, ".tmp"), 0);
        free(file);
    }
    temp_folder_remove(&folder);
}
END_TEST

static bezel_status try_write(test_world *world, void *ctx)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bz_gguf_writer *g = NULL;
    void *bytes = NULL;
    size_t size = 0;
    bezel_status status = bz_gguf_writer_new(&g, &world->world, &err);
    (void)ctx;
    if (status == BEZEL_OK) {
        fill(g);
        status = bz_gguf_writer_memory(&bytes, &size, g, &err);
    }
    bz_free(&world->world, bytes);
    bz_gguf_writer_free(g);
    return status;
}

START_TEST(every_failing_allocation_is_told_at_the_end)
{
    test_world world;
    test_world_init(&world);
    ck_assert_int_ge(test_world_sweep(&world, try_write, NULL, BEZEL_OK), 5);
}
END_TEST

Suite *gguf_writer_suite(void)
{
    Suite *s = suite_create("gguf_writer");
    TCase *t = tcase_create("write");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, values_of_every_type_come_back);
    tcase_add_loop_test(t, tensors_lie_aligned_and_hold_their_bytes, 0, 5);
    tcase_add_loop_test(t, wrong_use_is_told_at_the_end, 0, 5);
    tcase_add_test(t, a_file_has_the_same_bytes_as_memory_and_replaces_what_was_there);
    tcase_add_test(t, every_failing_file_call_leaves_the_old_file_and_no_other);
    tcase_add_test(t, every_failing_allocation_is_told_at_the_end);
    suite_add_tcase(s, t);
    return s;
}
