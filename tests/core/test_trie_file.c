/* SPDX-License-Identifier: MIT */
/* Side file of the vocabulary's trie: what is mapped is what was built, damage is found and the file made again, a folder that
 * refuses and memory that fails change no answer. */
#include <check.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/model_impl.h"
#include "support/temp_folder.h"
#include "support/test_engine.h"
#include "support/tiny_model.h"

Suite *trie_file_suite(void);

static temp_folder folder;
static test_world tw;
static bezel_engine *engine;

static void setup(void)
{
    temp_folder_make(&folder);
    test_world_init(&tw);
    engine = test_engine_new(&tw, 1, BEZEL_ISA_AUTO);
}

static void teardown(void)
{
    bezel_engine_free(engine);
    temp_folder_remove(&folder);
    ck_assert(test_world_is_clean(&tw));
}

static bezel_model *open_model(bezel_engine *e, const char *cache_folder)
{
    bezel_model_options o;
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_model *m = NULL;
    bezel_model_options_init(&o);
    o.cache_folder = cache_folder;
    ck_assert_msg(bezel_model_open(&m, e, TINY_MODEL_PATH, &o, &err) == BEZEL_OK, "%s", err.text);
    return m;
}

static const bz_vocab_trie *trie_of(bezel_model *m, int is_mapped)
{
    const bz_vocab_trie *trie = NULL;
    ck_assert_int_eq(bz_model_trie(&trie, m, NULL), BEZEL_OK);
    ck_assert_int_eq(m->trie_file.map.map != NULL, is_mapped);
    return trie;
}

static int is_letter(void *ud, size_t depth, uint8_t byte)
{
    return depth < *(size_t *)ud && byte >= 'a' && byte <= 'z';
}

/* Tokens, sets and walks of both. */
static void check_same(bezel_model *x, bezel_model *y, int x_mapped, int y_mapped)
{
    const bz_vocab_trie *a = trie_of(x, x_mapped), *b = trie_of(y, y_mapped);
    const size_t V = bz_vocab_size(x->vocab), n_words = (V + 31) / 32;
    uint32_t *bits = calloc(2 * n_words, sizeof *bits);
    int32_t ids[2][64];
    size_t n[2], most = 3;
    bz_token_set sets[2] = {{bits, 0, ids[0], 64, 1}, {bits + n_words, 0, ids[1], 64, 1}};
    ck_assert_uint_eq(bz_vocab_trie_longest(a), bz_vocab_trie_longest(b));
    for (int32_t id = 0; id < (int32_t)V; id++) {
        const uint8_t *p = bz_vocab_trie_token(a, id, &n[0]), *q = bz_vocab_trie_token(b, id, &n[1]);
        ck_assert_uint_eq(n[0], n[1]);
        ck_assert(n[0] == 0 || memcmp(p, q, n[0]) == 0);
        ck_assert(n[0] == 0 ||
                  bz_vocab_trie_continues(a, (const char *)p, n[0]) == bz_vocab_trie_continues(b, (const char *)q, n[0]));
    }
    for (uint32_t room = 0; room < 20; room++) {
        bz_vocab_trie_safe(a, &sets[0], room);
        bz_vocab_trie_safe(b, &sets[1], room);
        ck_assert_uint_eq(sets[0].count, sets[1].count);
        ck_assert_mem_eq(bits, bits + n_words, n_words * sizeof *bits);
    }
    for (int only_unsafe = 0; only_unsafe < 2; only_unsafe++) {
        bz_vocab_trie_walk(a, &sets[0], only_unsafe, is_letter, &most);
        bz_vocab_trie_walk(b, &sets[1], only_unsafe, is_letter, &most);
        ck_assert_mem_eq(bits, bits + n_words, n_words * sizeof *bits);
    }
    free(bits);
}

START_TEST(what_is_mapped_is_what_was_built)
{
    bezel_model *built = open_model(engine, folder.path), *mapped = open_model(engine, folder.path), *alone = open_model(engine, NULL);
    ck_assert_int_eq(temp_folder_count(&folder, ".trie"), 0); /* nobody asked for it */
    check_same(built, mapped, 0, 1);
    check_same(alone, mapped, 0, 1);
    ck_assert_int_eq(temp_folder_count(&folder, ".new"), 0);
    bezel_model_free(built);
    bezel_model_free(mapped);
    bezel_model_free(alone);
}
END_TEST

START_TEST(a_changed_byte_anywhere_is_found_and_the_file_made_again)
{
    bezel_model *m = open_model(engine, folder.path);
    (void)trie_of(m, 0);
    char pattern[512];
    glob_t found;
    size_t size, n;
    snprintf(pattern, sizeof pattern, "%s/*.trie", folder.path);
    ck_assert_int_eq(glob(pattern, 0, NULL, &found), 0);
    char *bytes = temp_folder_read(found.gl_pathv[0], &size);
    for (size_t at = 0; at < size; at += at < 100 ? 7 : size / 13) {
        bytes[at] ^= 0x20;
        temp_folder_write(found.gl_pathv[0], bytes, size);
        bytes[at] ^= 0x20;
        bezel_model *again = open_model(engine, folder.path);
        check_same(m, again, 0, 0);
        bezel_model_free(again);
        char *now = temp_folder_read(found.gl_pathv[0], &n);
        ck_assert_uint_eq(n, size);
        ck_assert_mem_eq(now, bytes, size);
        free(now);
    }
    free(bytes);
    globfree(&found);
    bezel_model_free(m);
}
END_TEST

START_TEST(a_block_that_leads_outside_is_refused)
{
    bezel_model *m = open_model(engine, NULL);
    const bz_vocab_trie *trie = trie_of(m, 0);
    const size_t size = bz_vocab_trie_measure(m->vocab);
    uint8_t *block = malloc(size);
    memcpy(block, bz_vocab_trie_block(trie), size);
    size_t refused = 0;
    for (size_t at = 0; at + 4 <= size; at += 4 * (1 + at / 4000)) { /* numbers first: what is not refused is walked */
        uint32_t saved;
        const uint32_t wrong = 0x7FFFFFFF;
        bezel_error err = BEZEL_ERROR_INIT;
        bz_vocab_trie *other = NULL;
        memcpy(&saved, block + at, 4);
        memcpy(block + at, &wrong, 4);
        const bezel_status status = bz_vocab_trie_from_block(&other, &tw.world, m->vocab, block, size, &err);
        ck_assert(status == BEZEL_OK || status == BEZEL_ERR_FORMAT);
        refused += status != BEZEL_OK;
        bz_vocab_trie_free(other);
        memcpy(block + at, &saved, 4);
    }
    ck_assert_uint_gt(refused, 50);
    free(block);
    bezel_model_free(m);
}
END_TEST

static bezel_status ask_once(test_world *world, void *ud)
{
    bezel_engine *e;
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_model_options o;
    bezel_model *m = NULL;
    const bz_vocab_trie *trie;
    (void)ud;
    bezel_status status = test_engine_try(&e, world, 1, BEZEL_ISA_AUTO, &err);
    if (status != BEZEL_OK)
        return status;
    bezel_model_options_init(&o);
    o.cache_folder = folder.path;
    status = bezel_model_open(&m, e, TINY_MODEL_PATH, &o, &err);
    if (status == BEZEL_OK)
        status = bz_model_trie(&trie, m, &err);
    bezel_model_free(m);
    bezel_engine_free(e);
    /* what only keeping the file lacks memory for is no failure */
    return status == BEZEL_OK && atomic_load(&world->n_failed) > 0 ? BEZEL_ERR_MEMORY : status;
}

START_TEST(a_failing_allocation_leaves_nothing)
{
    test_world w;
    for (int is_there = 0; is_there < 2; is_there++) {
        test_world_init(&w);
        test_world_sweep(&w, ask_once, NULL, BEZEL_OK);
        ck_assert(test_world_is_clean(&w));
        ck_assert_int_eq(temp_folder_count(&folder, ".new"), 0);
    }
}
END_TEST

Suite *trie_file_suite(void)
{
    Suite *s = suite_create("trie_file");
    TCase *c = tcase_create("file");
    tcase_set_timeout(c, 120);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, what_is_mapped_is_what_was_built);
    tcase_add_test(c, a_changed_byte_anywhere_is_found_and_the_file_made_again);
    tcase_add_test(c, a_block_that_leads_outside_is_refused);
    tcase_add_test(c, a_failing_allocation_leaves_nothing);
    suite_add_tcase(s, c);
    return s;
}
