/* SPDX-License-Identifier: MIT */
/* The GGUF reader against files that are wrong in one way each: one case a row, with the status it must give and a word
 * that its message must hold. Then what must be accepted, and how fast. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "format/gguf.h"
#include "support/byte_maker.h"
#include "support/test_world.h"

#define F32 0u
#define Q8_0 8u
#define MAX64 UINT64_MAX

static bezel_status read_maker(void *ud, uint64_t offset, void *buffer, size_t size)
{
    const byte_maker *b = ud;
    ck_assert_uint_le(offset, b->size);
    ck_assert_uint_le(size, b->size - offset); /* never asks beyond the size it was told */
    memcpy(buffer, b->data + offset, size);
    return BEZEL_OK;
}

typedef struct opened {
    bz_gguf g;
    bz_notes notes;
    bezel_error err;
    bezel_status status;
} opened;

static void open_bytes(opened *o, byte_maker *b)
{
    static test_world tw;
    bz_gguf_input input = {read_maker, b, b->size, "case.gguf"};
    test_world_init(&tw);
    o->err = (bezel_error)BEZEL_ERROR_INIT;
    bz_notes_init(&o->notes, &tw.world, NULL);
    o->status = bz_gguf_open(&o->g, &tw.world, &input, &o->notes, &o->err);
}

static void close_bytes(opened *o)
{
    test_world *tw = o->notes.world->ud;
    bz_gguf_free(&o->g);
    bz_notes_free(&o->notes);
    ck_assert(test_world_is_clean(tw));
}

/* --- Cases that are refused --------------------------------------------------------------- */

/* Makes a file with `n` values and tensors announced; the rest is the case's. */
typedef void (*case_fn)(byte_maker *b, uint64_t arg);

static void text_file(byte_maker *b, const char *text)
{
    byte_maker_add(b, text, strlen(text));
    byte_maker_zeros(b, 64);
}
static void c_html(byte_maker *b, uint64_t arg) { (void)arg; text_file(b, "<!DOCTYPE html><html>"); }
static void c_zip(byte_maker *b, uint64_t arg) { (void)arg; text_file(b, "PK\003\004"); }
static void c_lfs(byte_maker *b, uint64_t arg) { (void)arg; text_file(b, "version https://git-lfs.github.com/spec/v1"); }
static void c_json(byte_maker *b, uint64_t arg) { (void)arg; text_file(b, " {\"error\":404}"); }
static void c_pickle(byte_maker *b, uint64_t arg) { (void)arg; text_file(b, "\x80\x02}q"); }
static void c_safetensors(byte_maker *b, uint64_t arg)
{
    (void)arg;
    byte_maker_sized(b, "{\"a\":{}}", SIZE_MAX);
}
static void c_noise(byte_maker *b, uint64_t arg) { (void)arg; text_file(b, "\x01\x02\x03\x04"); }
static void c_start(byte_maker *b, uint64_t size) /* the first bytes of a good file */
{
    byte_maker_gguf(b, 3, 0, 0);
    b->size = (size_t)size;
}
static void c_version(byte_maker *b, uint64_t version) { byte_maker_gguf(b, (uint32_t)version, 0, 0); }
static void c_values(byte_maker *b, uint64_t n) { byte_maker_gguf(b, 3, 0, n); }
static void c_tensors(byte_maker *b, uint64_t n) { byte_maker_gguf(b, 3, n, 0); }
static void c_key_length(byte_maker *b, uint64_t n)
{
    byte_maker_gguf(b, 3, 0, 1);
    byte_maker_number(b, n, 8);
    byte_maker_zeros(b, 64);
}
static void c_long_key(byte_maker *b, uint64_t n)
{
    byte_maker_gguf(b, 3, 0, 1);
    byte_maker_number(b, n, 8);
    for (uint64_t i = 0; i < n; i++)
        byte_maker_add(b, "k", 1);
    byte_maker_number(b, 0, 4);
    byte_maker_number(b, 0, 1);
}
static void c_key_byte(byte_maker *b, uint64_t byte)
{
    char key[] = {'a', (char)byte, 'b'};
    byte_maker_gguf(b, 3, 0, 1);
    byte_maker_sized(b, key, 3);
    byte_maker_number(b, 0, 4);
    byte_maker_number(b, 0, 1);
}
static void c_duplicate_key(byte_maker *b, uint64_t type)
{
    byte_maker_gguf(b, 3, 0, 3);
    byte_maker_u32_key(b, "a.b", 1);
    byte_maker_u32_key(b, "a.c", 1);
    byte_maker_key(b, "a.b", (uint32_t)type);
    byte_maker_number(b, 1, type == 4 ? 4 : 8);
}
static void c_value_type(byte_maker *b, uint64_t type)
{
    byte_maker_gguf(b, 3, 0, 1);
    byte_maker_key(b, "a", (uint32_t)type);
    byte_maker_zeros(b, 64);
}
static void c_text_length(byte_maker *b, uint64_t n)
{
    byte_maker_gguf(b, 3, 0, 1);
    byte_maker_key(b, "a", BZ_GGUF_TEXT);
    byte_maker_number(b, n, 8);
    byte_maker_zeros(b, 64);
}
static void array_of(byte_maker *b, uint32_t type, uint64_t n)
{
    byte_maker_gguf(b, 3, 0, 1);
    byte_maker_key(b, "a", BZ_GGUF_ARRAY);
    byte_maker_number(b, type, 4);
    byte_maker_number(b, n, 8);
    byte_maker_zeros(b, 64);
}
static void c_array_u64(byte_maker *b, uint64_t n) { array_of(b, BZ_GGUF_U64, n); }
static void c_array_text(byte_maker *b, uint64_t n) { array_of(b, BZ_GGUF_TEXT, n); }
static void c_array_u8(byte_maker *b, uint64_t n) { array_of(b, BZ_GGUF_U8, n); }
static void c_array_type(byte_maker *b, uint64_t type) { array_of(b, (uint32_t)type, UINT64_C(1) << 60); }
static void c_nested(byte_maker *b, uint64_t depth)
{
    byte_maker_gguf(b, 3, 0, 1);
    byte_maker_key(b, "a", BZ_GGUF_ARRAY);
    for (uint64_t i = 0; i < depth; i++) {
        byte_maker_number(b, BZ_GGUF_ARRAY, 4);
        byte_maker_number(b, 1, 8);
    }
    byte_maker_zeros(b, 16);
}
static void c_text_in_array(byte_maker *b, uint64_t n)
{
    byte_maker_gguf(b, 3, 0, 1);
    byte_maker_key(b, "a", BZ_GGUF_ARRAY);
    byte_maker_number(b, BZ_GGUF_TEXT, 4);
    byte_maker_number(b, 2, 8);
    byte_maker_sized(b, "good", SIZE_MAX);
    byte_maker_number(b, n, 8);
    byte_maker_zeros(b, 8);
}
static void c_bool(byte_maker *b, uint64_t byte)
{
    byte_maker_gguf(b, 3, 0, 1);
    byte_maker_key(b, "a", BZ_GGUF_BOOL);
    byte_maker_number(b, byte, 1);
}
static void c_bools(byte_maker *b, uint64_t byte)
{
    byte_maker_gguf(b, 3, 0, 1);
    byte_maker_key(b, "a", BZ_GGUF_ARRAY);
    byte_maker_number(b, BZ_GGUF_BOOL, 4);
    byte_maker_number(b, 3, 8);
    byte_maker_number(b, 1, 1);
    byte_maker_number(b, 0, 1);
    byte_maker_number(b, byte, 1);
}
static void c_alignment(byte_maker *b, uint64_t n)
{
    byte_maker_gguf(b, 3, 0, 1);
    byte_maker_u32_key(b, "general.alignment", (uint32_t)n);
}
static void c_alignment_type(byte_maker *b, uint64_t type)
{
    byte_maker_gguf(b, 3, 0, 1);
    byte_maker_key(b, "general.alignment", (uint32_t)type);
    byte_maker_number(b, 32, 8);
    byte_maker_zeros(b, 32);
}
/* One F32 tensor "t" of 8 values with 32 bytes of data, but for one thing. */
static void one_tensor(byte_maker *b, const char *name, size_t name_size, uint32_t n_dims, const uint64_t *dims,
                       uint32_t dtype, uint64_t offset, size_t data)
{
    byte_maker_gguf(b, 3, 1, 0);
    byte_maker_sized(b, name, name_size);
    byte_maker_number(b, n_dims, 4);
    for (uint32_t i = 0; i < n_dims && i < 8; i++)
        byte_maker_number(b, dims[i], 8);
    byte_maker_number(b, dtype, 4);
    byte_maker_number(b, offset, 8);
    byte_maker_align(b, 32);
    byte_maker_zeros(b, data);
}
static const uint64_t eight[8] = {8, 1, 1, 1, 1, 1, 1, 1};
static void c_name_size(byte_maker *b, uint64_t n)
{
    char name[128];
    memset(name, 'n', sizeof name);
    one_tensor(b, name, (size_t)n, 1, eight, F32, 0, 32);
}
static void c_name_nul(byte_maker *b, uint64_t arg) { (void)arg; one_tensor(b, "a\0b", 3, 1, eight, F32, 0, 32); }
static void c_name_utf8(byte_maker *b, uint64_t arg) { (void)arg; one_tensor(b, "a\xff", 2, 1, eight, F32, 0, 32); }
static void c_n_dims(byte_maker *b, uint64_t n) { one_tensor(b, "t", 1, (uint32_t)n, eight, F32, 0, 64); }
static void c_dim(byte_maker *b, uint64_t n)
{
    uint64_t dims[2] = {8, n};
    one_tensor(b, "t", 1, 2, dims, F32, 0, 64);
}
static void c_dims(byte_maker *b, uint64_t n) /* n x n */
{
    uint64_t dims[2] = {n, n};
    one_tensor(b, "t", 1, 2, dims, F32, 0, 64);
}
static void c_one_dim(byte_maker *b, uint64_t n)
{
    uint64_t dims[1] = {n};
    one_tensor(b, "t", 1, 1, dims, F32, 0, 64);
}
static void c_block(byte_maker *b, uint64_t n)
{
    uint64_t dims[2] = {n, 2};
    one_tensor(b, "t", 1, 2, dims, Q8_0, 0, 256);
}
static void c_dtype(byte_maker *b, uint64_t type) { one_tensor(b, "t", 1, 1, eight, (uint32_t)type, 0, 64); }
static void c_offset(byte_maker *b, uint64_t offset) { one_tensor(b, "t", 1, 1, eight, F32, offset, 64); }
static void c_cut_data(byte_maker *b, uint64_t n) { one_tensor(b, "t", 1, 1, eight, F32, 0, (size_t)n); }
static void c_no_padding(byte_maker *b, uint64_t arg)
{
    (void)arg;
    one_tensor(b, "t", 1, 1, eight, F32, 0, 0);
    b->size = 24 + 9 + 4 + 8 + 4 + 8;
}
static void two_tensors(byte_maker *b, const char *name, uint64_t size, uint64_t offset)
{
    byte_maker_gguf(b, 3, 2, 0);
    byte_maker_tensor(b, "first", size, 0, F32, 0);
    byte_maker_tensor(b, name, size, 0, F32, offset);
    byte_maker_align(b, 32);
    byte_maker_zeros(b, 256);
}
static void c_same_name(byte_maker *b, uint64_t arg) { (void)arg; two_tensors(b, "first", 8, 32); }
static void c_overlap(byte_maker *b, uint64_t offset) { two_tensors(b, "second", 16, offset); }
static void c_total(byte_maker *b, uint64_t elements)
{
    byte_maker_gguf(b, 3, 3, 0);
    byte_maker_tensor(b, "a", elements, 0, F32, 0);
    byte_maker_tensor(b, "b", elements, 0, F32, 0);
    byte_maker_tensor(b, "c", elements, 0, F32, 0);
    byte_maker_align(b, 32);
}

static const struct {
    const char *id; /* of the catalogue */
    case_fn make;
    uint64_t arg;
    bezel_status status;
    const char *word;
} refused[] = {
    {"G01", c_start, 0, BEZEL_ERR_TRUNCATED, "bytes"},
    {"G01", c_start, 1, BEZEL_ERR_TRUNCATED, "bytes"},
    {"G01", c_start, 3, BEZEL_ERR_TRUNCATED, "bytes"},
    {"G01", c_start, 4, BEZEL_ERR_TRUNCATED, "version"},
    {"G01", c_start, 8, BEZEL_ERR_TRUNCATED, "tensor count"},
    {"G01", c_start, 23, BEZEL_ERR_TRUNCATED, "key count"},
    {"G02", c_html, 0, BEZEL_ERR_FORMAT, "web page"},
    {"G02", c_zip, 0, BEZEL_ERR_FORMAT, "ZIP"},
    {"G02", c_lfs, 0, BEZEL_ERR_FORMAT, "LFS"},
    {"G02", c_json, 0, BEZEL_ERR_FORMAT, "JSON"},
    {"G02", c_pickle, 0, BEZEL_ERR_FORMAT, "pickle"},
    {"G02", c_safetensors, 0, BEZEL_ERR_FORMAT, "safetensors"},
    {"G02", c_noise, 0, BEZEL_ERR_FORMAT, "not a GGUF file"},
    {"G03", c_version, 0, BEZEL_ERR_VERSION, "version 0"},
    {"G03", c_version, 1, BEZEL_ERR_VERSION, "version 1"},
    {"G03", c_version, 4, BEZEL_ERR_VERSION, "version 4"},
    {"G03", c_version, 0x03000000, BEZEL_ERR_VERSION, "big-endian"},
    {"G03", c_version, 0x02000000, BEZEL_ERR_VERSION, "big-endian"},
    {"G04", c_values, MAX64, BEZEL_ERR_LIMIT, "18446744073709551615 keys"},
    {"G04", c_values, UINT64_C(1) << 63, BEZEL_ERR_LIMIT, "keys"},
    {"G04", c_values, UINT64_C(1) << 32, BEZEL_ERR_LIMIT, "keys"},
    {"G05", c_tensors, MAX64, BEZEL_ERR_LIMIT, "tensors"},
    {"G05", c_tensors, UINT64_C(1) << 60, BEZEL_ERR_LIMIT, "tensors"},
    {"G06", c_values, 1, BEZEL_ERR_TRUNCATED, "1 keys"},
    {"G06", c_values, 65536, BEZEL_ERR_TRUNCATED, "keys"},
    {"G06", c_tensors, 1, BEZEL_ERR_TRUNCATED, "1 tensors"},
    {"G06", c_tensors, 65536, BEZEL_ERR_TRUNCATED, "tensors"},
    {"G07", c_key_length, MAX64, BEZEL_ERR_LIMIT, "key"},
    {"G07", c_key_length, 65, BEZEL_ERR_TRUNCATED, "key"},
    {"G08", c_key_length, MAX64 - 32, BEZEL_ERR_LIMIT, "key"},
    {"G08", c_text_length, MAX64 - 32, BEZEL_ERR_LIMIT, "text"},
    {"G09", c_key_length, 0, BEZEL_ERR_FORMAT, "empty key"},
    {"G10", c_key_byte, 0, BEZEL_ERR_FORMAT, "0x00"},
    {"G10", c_key_byte, '\n', BEZEL_ERR_FORMAT, "0x0a"},
    {"G10", c_key_byte, ' ', BEZEL_ERR_FORMAT, "0x20"},
    {"G10", c_key_byte, 0x7F, BEZEL_ERR_FORMAT, "0x7f"},
    {"G10", c_key_byte, 0xE9, BEZEL_ERR_FORMAT, "0xe9"},
    {"G10", c_key_byte, 'Q', BEZEL_ERR_FORMAT, "lower-case"},
    {"G10", c_long_key, 65536, BEZEL_ERR_FORMAT, "65535"},
    {"G11", c_duplicate_key, 4, BEZEL_ERR_DUPLICATE, "first at 0x20"},
    {"G11", c_duplicate_key, 10, BEZEL_ERR_DUPLICATE, "a.b"},
    {"G12", c_value_type, 13, BEZEL_ERR_TYPE, "13"},
    {"G12", c_value_type, 255, BEZEL_ERR_TYPE, "255"},
    {"G12", c_value_type, UINT32_MAX, BEZEL_ERR_TYPE, "-1"},
    {"G13", c_text_length, MAX64, BEZEL_ERR_LIMIT, "text"},
    {"G13", c_text_length, (16u << 20) + 1, BEZEL_ERR_LIMIT, "16777216"},
    {"G13", c_text_length, 65, BEZEL_ERR_TRUNCATED, "text"},
    {"G13", c_text_in_array, 9, BEZEL_ERR_TRUNCATED, "text of an array"},
    {"G13", c_text_in_array, MAX64, BEZEL_ERR_LIMIT, "text of an array"},
    {"G14", c_array_u64, UINT64_C(1) << 61, BEZEL_ERR_OVERFLOW, "items"},
    {"G14", c_array_u64, MAX64, BEZEL_ERR_OVERFLOW, "items"},
    {"G14", c_array_text, UINT64_C(1) << 62, BEZEL_ERR_OVERFLOW, "items"},
    {"G14", c_array_u8, MAX64, BEZEL_ERR_LIMIT, "items"},
    {"G14", c_array_u64, (16u << 20) + 1, BEZEL_ERR_LIMIT, "items"},
    {"G14", c_array_u64, 9, BEZEL_ERR_TRUNCATED, "array"},
    {"G15", c_array_type, 13, BEZEL_ERR_TYPE, "13"},
    {"G15", c_array_type, 99, BEZEL_ERR_TYPE, "99"},
    {"G16", c_nested, 2, BEZEL_ERR_UNSUPPORTED, "array of arrays"},
    {"G16", c_nested, 100000, BEZEL_ERR_UNSUPPORTED, "array of arrays"},
    {"G20", c_alignment, 0, BEZEL_ERR_RANGE, "general.alignment"},
    {"G20", c_alignment, 1, BEZEL_ERR_RANGE, "general.alignment"},
    {"G20", c_alignment, 3, BEZEL_ERR_RANGE, "general.alignment"},
    {"G20", c_alignment, 13, BEZEL_ERR_RANGE, "general.alignment"},
    {"G20", c_alignment, 48, BEZEL_ERR_RANGE, "general.alignment"},
    {"G21", c_alignment, UINT64_C(1) << 31, BEZEL_ERR_RANGE, "2147483648"},
    {"G21", c_alignment, 131072, BEZEL_ERR_RANGE, "131072"},
    {"G22", c_alignment_type, BZ_GGUF_I32, BEZEL_ERR_TYPE, "i32"},
    {"G22", c_alignment_type, BZ_GGUF_U64, BEZEL_ERR_TYPE, "u64"},
    {"G22", c_alignment_type, BZ_GGUF_TEXT, BEZEL_ERR_TYPE, "text"},
    {"G23", c_name_size, 0, BEZEL_ERR_FORMAT, "empty tensor name"},
    {"G23", c_name_size, 65, BEZEL_ERR_FORMAT, "64"},
    {"G23", c_name_nul, 0, BEZEL_ERR_FORMAT, "NUL"},
    {"G23", c_name_utf8, 0, BEZEL_ERR_FORMAT, "UTF-8"},
    {"G24", c_same_name, 0, BEZEL_ERR_DUPLICATE, "\"first\""},
    {"G25", c_n_dims, 5, BEZEL_ERR_RANGE, "5 dimensions"},
    {"G25", c_n_dims, UINT32_MAX, BEZEL_ERR_RANGE, "4294967295"},
    {"G26", c_dim, 0, BEZEL_ERR_SHAPE, "dimension 0"},
    {"G26", c_dims, 0, BEZEL_ERR_SHAPE, "dimension 0"},
    {"G27", c_dim, MAX64, BEZEL_ERR_SHAPE, "-1"},
    {"G27", c_dim, UINT64_C(1) << 63, BEZEL_ERR_SHAPE, "dimension -"},
    {"G28", c_dims, UINT64_C(1) << 32, BEZEL_ERR_OVERFLOW, "4294967296"},
    {"G28", c_one_dim, (UINT64_C(1) << 62) - 1, BEZEL_ERR_OVERFLOW, "4611686018427387903"},
    {"G29", c_one_dim, INT64_MAX / 4, BEZEL_ERR_OVERFLOW, "elements"},
    {"G30", c_total, UINT64_C(1) << 60, BEZEL_ERR_OVERFLOW, "tensor \"b\""},
    {"G31", c_offset, (UINT64_C(1) << 63) - 64, BEZEL_ERR_OVERFLOW, "tensor \"t\""},
    {"G32", c_block, 31, BEZEL_ERR_SHAPE, "multiples of 32"},
    {"G32", c_block, 33, BEZEL_ERR_SHAPE, "Q8_0"},
    {"G33", c_dtype, 4, BEZEL_ERR_TYPE, "type 4"},
    {"G33", c_dtype, 5, BEZEL_ERR_TYPE, "type 5"},
    {"G33", c_dtype, 31, BEZEL_ERR_TYPE, "type 31"},
    {"G33", c_dtype, 999, BEZEL_ERR_TYPE, "type 999"},
    {"G33", c_dtype, UINT32_MAX, BEZEL_ERR_TYPE, "type -1"},
    {"H08", c_dtype, 40, BEZEL_ERR_UNSUPPORTED, "NVFP4"},
    {"G34", c_offset, 1, BEZEL_ERR_RANGE, "alignment 32"},
    {"G34", c_offset, 16, BEZEL_ERR_RANGE, "alignment 32"},
    {"G35", c_offset, 64, BEZEL_ERR_TRUNCATED, "tensor \"t\""},
    {"G35", c_offset, UINT64_C(1) << 40, BEZEL_ERR_TRUNCATED, "tensor \"t\""},
    {"G35", c_cut_data, 0, BEZEL_ERR_TRUNCATED, "tensor \"t\""},
    {"G35", c_cut_data, 31, BEZEL_ERR_TRUNCATED, "tensor \"t\""},
    {"G36", c_offset, MAX64 - 31, BEZEL_ERR_OVERFLOW, "tensor \"t\""},
    {"G37", c_overlap, 0, BEZEL_ERR_RANGE, "inside tensor"},
    {"G37", c_overlap, 32, BEZEL_ERR_RANGE, "inside tensor \"first\""},
    {"G40", c_no_padding, 0, BEZEL_ERR_TRUNCATED, "tensor \"t\""},
    {"G46", c_bool, 2, BEZEL_ERR_FORMAT, "bool byte 2"},
    {"G46", c_bool, 255, BEZEL_ERR_FORMAT, "bool byte 255"},
    {"G46", c_bools, 2, BEZEL_ERR_FORMAT, "bool byte 2"},
};
#define N_REFUSED ((int)(sizeof refused / sizeof refused[0]))

START_TEST(a_wrong_file_is_refused_with_the_named_error)
{
    byte_maker b = {0};
    opened o;
    refused[_i].make(&b, refused[_i].arg);
    open_bytes(&o, &b);
    ck_assert_msg(o.status == refused[_i].status, "%s (%llx): %s %s, expected %s", refused[_i].id,
                  (unsigned long long)refused[_i].arg, bezel_status_name(o.status), o.err.text,
                  bezel_status_name(refused[_i].status));
    ck_assert_msg(strstr(o.err.text, refused[_i].word) != NULL, "%s: \"%s\" lacks \"%s\"", refused[_i].id, o.err.text,
                  refused[_i].word);
    ck_assert_msg(strstr(o.err.text, "case.gguf @0x") != NULL, "%s: no place in \"%s\"", refused[_i].id, o.err.text);
    ck_assert_int_ge(o.err.offset, 0);
    ck_assert_int_le(test_world_is_clean(o.notes.world->ud), 1);
    close_bytes(&o);
    byte_maker_free(&b);
}
END_TEST

/* A file with every value type and some tensors. */
static void good_file(byte_maker *b)
{
    byte_maker_gguf(b, 3, 3, 5);
    byte_maker_key(b, "a.text", BZ_GGUF_TEXT);
    byte_maker_sized(b, "hello", SIZE_MAX);
    byte_maker_u32_key(b, "a.number", 7);
    byte_maker_key(b, "a.texts", BZ_GGUF_ARRAY);
    byte_maker_number(b, BZ_GGUF_TEXT, 4);
    byte_maker_number(b, 3, 8);
    byte_maker_sized(b, "one", SIZE_MAX);
    byte_maker_sized(b, "", SIZE_MAX);
    byte_maker_sized(b, "three", SIZE_MAX);
    byte_maker_key(b, "a.list", BZ_GGUF_ARRAY);
    byte_maker_number(b, BZ_GGUF_I16, 4);
    byte_maker_number(b, 2, 8);
    byte_maker_number(b, 0xFFFE, 2);
    byte_maker_number(b, 300, 2);
    byte_maker_key(b, "a.truth", BZ_GGUF_BOOL);
    byte_maker_number(b, 1, 1);
    byte_maker_tensor(b, "z", 8, 2, F32, 0);
    byte_maker_tensor(b, "y", 32, 3, Q8_0, 64);
    byte_maker_tensor(b, "x", 8, 0, F32, 192);
    byte_maker_align(b, 32);
    byte_maker_zeros(b, 224);
}

START_TEST(a_good_file_cut_anywhere_is_truncated)
{
    byte_maker b = {0};
    size_t size;
    good_file(&b);
    size = b.size;
    for (size_t n = 0; n < size; n++) {
        opened o;
        b.size = n;
        open_bytes(&o, &b);
        ck_assert_msg(o.status == BEZEL_ERR_TRUNCATED, "cut at %zu: %s %s", n, bezel_status_name(o.status), o.err.text);
        close_bytes(&o);
    }
    byte_maker_free(&b);
}
END_TEST

START_TEST(a_good_file_with_any_byte_changed_opens_or_fails_cleanly)
{
    byte_maker b = {0};
    good_file(&b);
    for (size_t i = 0; i < b.size; i++) {
        for (int k = 0; k < 4; k++) {
            static const uint8_t mask[] = {0x01, 0x80, 0xFF, 0x10};
            opened o;
            b.data[i] ^= mask[k];
            open_bytes(&o, &b);
            ck_assert_int_le(o.status, 0);
            close_bytes(&o);
            b.data[i] ^= mask[k];
        }
    }
    byte_maker_free(&b);
}
END_TEST

START_TEST(values_and_tensors_are_found_by_name)
{
    byte_maker b = {0};
    opened o;
    const bz_gguf_value *v;
    const bz_gguf_tensor *t;
    const char *text;
    size_t size, n = 0;
    uint64_t at = 0, u;
    int64_t i;
    int truth;
    good_file(&b);
    open_bytes(&o, &b);
    ck_assert_msg(o.status == BEZEL_OK, "%s", o.err.text);
    ck_assert_int_eq(bz_gguf_text(&text, &size, &o.g, bz_gguf_find(&o.g, "a.text"), NULL), BEZEL_OK);
    ck_assert_uint_eq(size, 5);
    ck_assert_int_eq(memcmp(text, "hello", 5), 0);
    ck_assert_int_eq(bz_gguf_uint(&u, &o.g, bz_gguf_find(&o.g, "a.number"), NULL), BEZEL_OK);
    ck_assert_uint_eq(u, 7);
    v = bz_gguf_find(&o.g, "a.texts");
    while (bz_gguf_next_text(&text, &size, &o.g, v, &at))
        n += size;
    ck_assert_uint_eq(n, 8);
    v = bz_gguf_find(&o.g, "a.list");
    ck_assert_int_eq(bz_gguf_item(&i, &o.g, v, 0, NULL), BEZEL_OK);
    ck_assert_int_eq(i, -2);
    ck_assert_int_eq(bz_gguf_item(&i, &o.g, v, 1, NULL), BEZEL_OK);
    ck_assert_int_eq(i, 300);
    ck_assert_int_eq(bz_gguf_item(&i, &o.g, v, 2, NULL), BEZEL_ERR_RANGE);
    ck_assert_int_eq(bz_gguf_bool(&truth, &o.g, bz_gguf_find(&o.g, "a.truth"), NULL), BEZEL_OK);
    ck_assert_int_eq(truth, 1);
    ck_assert_ptr_null(bz_gguf_find(&o.g, "a.tex"));
    ck_assert_ptr_null(bz_gguf_find(&o.g, "a.textss"));
    t = &o.g.tensors[o.g.tensor_index[o.g.n_tensors - 2]]; /* the last but one by name */
    ck_assert_uint_eq(t->name_size, 1);
    ck_assert_int_eq(bz_gguf_tensor_name(&o.g, t)[0], 'y');
    ck_assert_uint_eq(t->dims[0], 32);
    ck_assert_uint_eq(t->dims[1], 3);
    ck_assert_uint_eq(t->dims[2], 1);
    ck_assert_uint_eq(t->size, 3 * 34);
    ck_assert_uint_eq(t->offset, o.g.data_at + 64);
    ck_assert_uint_eq(o.g.data_at % 32, 0);
    ck_assert_str_eq(bz_gguf_dtype_name(t->dtype), "Q8_0");
    ck_assert_uint_eq(o.notes.count, 0);
    close_bytes(&o);
    byte_maker_free(&b);
}
END_TEST

START_TEST(values_of_another_type_are_refused)
{
    byte_maker b = {0};
    opened o;
    uint64_t u;
    int64_t i;
    double x;
    int truth;
    const char *text;
    size_t size;
    good_file(&b);
    open_bytes(&o, &b);
    ck_assert_int_eq(bz_gguf_uint(&u, &o.g, bz_gguf_find(&o.g, "a.text"), &o.err), BEZEL_ERR_TYPE);
    ck_assert_ptr_nonnull(strstr(o.err.text, "a.text"));
    ck_assert_str_eq(o.err.place, "a.text");
    ck_assert_int_eq(bz_gguf_uint(&u, &o.g, bz_gguf_find(&o.g, "a.truth"), NULL), BEZEL_ERR_TYPE);
    ck_assert_int_eq(bz_gguf_int(&i, &o.g, bz_gguf_find(&o.g, "a.list"), NULL), BEZEL_ERR_TYPE);
    ck_assert_int_eq(bz_gguf_float(&x, &o.g, bz_gguf_find(&o.g, "a.number"), NULL), BEZEL_ERR_TYPE);
    ck_assert_int_eq(bz_gguf_bool(&truth, &o.g, bz_gguf_find(&o.g, "a.number"), NULL), BEZEL_ERR_TYPE);
    ck_assert_int_eq(bz_gguf_text(&text, &size, &o.g, bz_gguf_find(&o.g, "a.number"), NULL), BEZEL_ERR_TYPE);
    ck_assert_int_eq(bz_gguf_item(&i, &o.g, bz_gguf_find(&o.g, "a.texts"), 0, NULL), BEZEL_ERR_TYPE);
    close_bytes(&o);
    byte_maker_free(&b);
}
END_TEST

START_TEST(every_integer_type_is_read_and_its_sign_and_range_checked)
{
    static const struct {
        uint32_t type;
        uint32_t size;
        uint64_t bits;
        int is_uint;
        int64_t value;
    } rows[] = {
        {BZ_GGUF_U8, 1, 200, 1, 200},         {BZ_GGUF_I8, 1, 0xFF, 0, -1},
        {BZ_GGUF_U16, 2, 65535, 1, 65535},    {BZ_GGUF_I16, 2, 0x8000, 0, -32768},
        {BZ_GGUF_U32, 4, 0xFFFFFFFF, 1, 4294967295},
        {BZ_GGUF_I32, 4, 0x80000000, 0, INT32_MIN}, {BZ_GGUF_I32, 4, 5, 1, 5},
        {BZ_GGUF_U64, 8, 1, 1, 1},            {BZ_GGUF_I64, 8, UINT64_C(1) << 63, 0, INT64_MIN},
    };
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        byte_maker b = {0};
        opened o;
        uint64_t u = 0;
        int64_t i = 0;
        byte_maker_gguf(&b, 3, 0, 1);
        byte_maker_key(&b, "n", rows[r].type);
        byte_maker_number(&b, rows[r].bits, rows[r].size);
        open_bytes(&o, &b);
        ck_assert_int_eq(bz_gguf_int(&i, &o.g, &o.g.values[0], NULL), BEZEL_OK);
        ck_assert_int_eq(i, rows[r].value);
        ck_assert_int_eq(bz_gguf_uint(&u, &o.g, &o.g.values[0], NULL), rows[r].is_uint ? BEZEL_OK : BEZEL_ERR_RANGE);
        close_bytes(&o);
        byte_maker_free(&b);
    }
}
END_TEST

START_TEST(a_number_that_is_nan_or_infinite_is_out_of_range)
{
    static const uint32_t bits[] = {0x7FC00000, 0x7F800000, 0xFF800000};
    for (int k = 0; k < 3; k++) {
        byte_maker b = {0};
        opened o;
        double x;
        byte_maker_gguf(&b, 3, 0, 1);
        byte_maker_key(&b, "n", BZ_GGUF_F32);
        byte_maker_number(&b, bits[k], 4);
        open_bytes(&o, &b);
        ck_assert_int_eq(bz_gguf_float(&x, &o.g, &o.g.values[0], NULL), BEZEL_ERR_RANGE);
        close_bytes(&o);
        byte_maker_free(&b);
    }
}
END_TEST

/* --- What is accepted --------------------------------------------------------------------- */

static void expect_accepted(byte_maker *b, uint32_t n_notes, const char *what)
{
    opened o;
    open_bytes(&o, b);
    ck_assert_msg(o.status == BEZEL_OK, "%s: %s", what, o.err.text);
    ck_assert_msg(o.notes.count == n_notes, "%s: %u remarks", what, (unsigned)o.notes.count);
    close_bytes(&o);
    byte_maker_free(b);
}

START_TEST(odd_but_harmless_files_are_accepted)
{
    byte_maker b = {0};
    byte_maker_gguf(&b, 2, 0, 0);
    expect_accepted(&b, 0, "version 2, empty");
    c_name_size(&b, 64);
    expect_accepted(&b, 0, "G23 name of 64 bytes");
    c_long_key(&b, 65535);
    expect_accepted(&b, 0, "G10 key of 65,535 bytes");
    c_n_dims(&b, 0);
    expect_accepted(&b, 1, "G25 scalar, with 60 bytes behind it");
    two_tensors(&b, "second", 8, 128);
    expect_accepted(&b, 2, "G37 hole, G39 trailing bytes");
    byte_maker_gguf(&b, 3, 2, 0);
    byte_maker_tensor(&b, "later", 8, 0, F32, 32);
    byte_maker_tensor(&b, "sooner", 8, 0, F32, 0);
    byte_maker_align(&b, 32);
    byte_maker_zeros(&b, 64);
    expect_accepted(&b, 0, "G38 out of order");
    c_dtype(&b, 28); /* F64: never computed with, but its range is known */
    expect_accepted(&b, 0, "a type without kernel");
    c_alignment(&b, 8);
    expect_accepted(&b, 0, "alignment 8");
    c_alignment(&b, 65536);
    expect_accepted(&b, 0, "alignment 65536");
    c_cut_data(&b, 32);
    expect_accepted(&b, 0, "last tensor without padding");
}
END_TEST

/* --- Speed and memory --------------------------------------------------------------------- */

static double cpu_seconds(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

START_TEST(parsing_65536_small_keys_is_quick)
{
    byte_maker b = {0};
    opened o;
    double start;
    byte_maker_gguf(&b, 3, 0, 65536);
    for (uint32_t i = 0; i < 65536; i++) {
        char key[16];
        snprintf(key, sizeof key, "k.%u", (unsigned)(i * 2654435761u));
        byte_maker_key(&b, key, BZ_GGUF_U8);
        byte_maker_number(&b, 1, 1);
    }
    start = cpu_seconds();
    open_bytes(&o, &b);
    start = cpu_seconds() - start;
    ck_assert_msg(o.status == BEZEL_OK, "%s", o.err.text);
    ck_assert_msg(start < 1.0, "took %.3f s", start); /* 0.02 s; the bound leaves room for sanitizers */
    close_bytes(&o);
    byte_maker_free(&b);
}
END_TEST

START_TEST(parsing_65536_tensors_is_quick_and_small)
{
    byte_maker b = {0};
    opened o;
    double start;
    const test_world *tw;
    byte_maker_gguf(&b, 3, 65536, 0);
    for (uint32_t i = 0; i < 65536; i++) {
        char name[24];
        snprintf(name, sizeof name, "t.%u", (unsigned)(i * 2654435761u));
        byte_maker_tensor(&b, name, 8, 0, F32, 32 * (uint64_t)i);
    }
    byte_maker_align(&b, 32);
    byte_maker_zeros(&b, 65536 * 32);
    start = cpu_seconds();
    open_bytes(&o, &b);
    start = cpu_seconds() - start;
    ck_assert_msg(o.status == BEZEL_OK, "%s", o.err.text);
    ck_assert_msg(start < 2.0, "took %.3f s", start);
    tw = o.notes.world->ud;
    ck_assert_int_lt(tw->peak_bytes, 64 << 20);
    close_bytes(&o);
    byte_maker_free(&b);
}
END_TEST

START_TEST(an_array_of_empty_texts_takes_no_more_memory_than_twice_the_file)
{
    byte_maker b = {0};
    opened o;
    const test_world *tw;
    const uint64_t n = 1 << 20;
    byte_maker_gguf(&b, 3, 0, 1);
    byte_maker_key(&b, "a", BZ_GGUF_ARRAY);
    byte_maker_number(&b, BZ_GGUF_TEXT, 4);
    byte_maker_number(&b, n, 8);
    byte_maker_zeros(&b, 8 * (size_t)n);
    open_bytes(&o, &b);
    ck_assert_msg(o.status == BEZEL_OK, "%s", o.err.text);
    ck_assert_uint_eq(o.g.values[0].count, n);
    tw = o.notes.world->ud;
    ck_assert_int_lt(tw->peak_bytes, (int64_t)(2 * b.size));
    close_bytes(&o);
    byte_maker_free(&b);
}
END_TEST

static bezel_status try_good(test_world *tw, void *ctx)
{
    byte_maker *b = ctx;
    bz_gguf_input input = {read_maker, b, b->size, "sweep.gguf"};
    bezel_error err = BEZEL_ERROR_INIT;
    bz_gguf g;
    bezel_status status = bz_gguf_open(&g, &tw->world, &input, NULL, &err);
    bz_gguf_free(&g);
    return status;
}

START_TEST(every_failing_allocation_is_an_error_without_leak)
{
    byte_maker b = {0};
    test_world tw;
    test_world_init(&tw);
    good_file(&b);
    ck_assert_int_ge(test_world_sweep(&tw, try_good, &b, BEZEL_OK), 5);
    byte_maker_free(&b);
}
END_TEST

static bezel_status read_nothing(void *ud, uint64_t offset, void *buffer, size_t size)
{
    (void)ud;
    (void)offset;
    (void)buffer;
    (void)size;
    return BEZEL_ERR_CALLBACK;
}

START_TEST(a_failing_read_function_is_passed_on)
{
    test_world tw;
    bezel_error err = BEZEL_ERROR_INIT;
    bz_gguf_input input = {read_nothing, NULL, 1000, "host"};
    bz_gguf g;
    test_world_init(&tw);
    ck_assert_int_eq(bz_gguf_open(&g, &tw.world, &input, NULL, &err), BEZEL_ERR_CALLBACK);
    ck_assert_ptr_nonnull(strstr(err.text, "cannot read"));
    ck_assert(test_world_is_clean(&tw));
}
END_TEST

Suite *gguf_suite(void)
{
    Suite *s = suite_create("gguf");
    TCase *t = tcase_create("catalogue");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, a_wrong_file_is_refused_with_the_named_error, 0, N_REFUSED);
    tcase_add_test(t, a_good_file_cut_anywhere_is_truncated);
    tcase_add_test(t, a_good_file_with_any_byte_changed_opens_or_fails_cleanly);
    tcase_add_test(t, values_and_tensors_are_found_by_name);
    tcase_add_test(t, values_of_another_type_are_refused);
    tcase_add_test(t, every_integer_type_is_read_and_its_sign_and_range_checked);
    tcase_add_test(t, a_number_that_is_nan_or_infinite_is_out_of_range);
    tcase_add_test(t, odd_but_harmless_files_are_accepted);
    tcase_add_test(t, parsing_65536_small_keys_is_quick);
    tcase_add_test(t, parsing_65536_tensors_is_quick_and_small);
    tcase_add_test(t, an_array_of_empty_texts_takes_no_more_memory_than_twice_the_file);
    tcase_add_test(t, every_failing_allocation_is_an_error_without_leak);
    tcase_add_test(t, a_failing_read_function_is_passed_on);
    suite_add_tcase(s, t);
    return s;
}
