/* SPDX-License-Identifier: MIT */
/* Side file of the vocabulary: what is mapped is what was built, damage and wrong tables are found and the file made again,
 * failures, kills and a full disk change no answer, several processes leave one good file, what nobody uses goes. */
#include <bezel/tokenizer.h>

#include <check.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "model/model_impl.h"
#include "support/temp_folder.h"
#include "support/test_engine.h"
#include "support/tiny_model.h"

Suite *vocab_file_suite(void);

static temp_folder folder;
static test_world tw;
static bezel_engine *engine;

static void setup(void)
{
    temp_folder_make(&folder);
    test_world_init(&tw);
    engine = test_engine_new(&tw, 2, BEZEL_ISA_AUTO);
}

static void teardown(void)
{
    bezel_engine_free(engine);
    temp_folder_remove(&folder);
    ck_assert(test_world_is_clean(&tw));
}

static bezel_status try_open(bezel_model **out, bezel_engine *e, bezel_error *err)
{
    bezel_model_options o;
    bezel_model_options_init(&o);
    o.cache_folder = folder.path;
    return bezel_model_open(out, e, TINY_MODEL_PATH, &o, err);
}

static bezel_model *open_model(int is_mapped)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_model *m;
    ck_assert_msg(try_open(&m, engine, &err) == BEZEL_OK, "%s", err.text);
    ck_assert_int_eq(m->vocab_map.map != NULL, is_mapped);
    return m;
}

/* free() it; NULL when there is none. */
static char *only_file(void)
{
    char pattern[512], *path = NULL;
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s/*.vocab", folder.path);
    if (glob(pattern, 0, NULL, &found) == 0) {
        ck_assert_uint_eq(found.gl_pathc, 1);
        path = strdup(found.gl_pathv[0]);
        globfree(&found);
    }
    return path;
}

/* Everything that the tokenizer asks an entry for. */
static void check_same(const bz_vocab *a, const bz_vocab *b)
{
    ck_assert_uint_eq(bz_vocab_size(a), bz_vocab_size(b));
    ck_assert_int_eq(bz_vocab_bos(a), bz_vocab_bos(b));
    ck_assert_int_eq(bz_vocab_add_bos(a), bz_vocab_add_bos(b));
    ck_assert_int_eq(bz_vocab_add_space_prefix(a), bz_vocab_add_space_prefix(b));
    for (int32_t id = 0; id < (int32_t)bz_vocab_size(a); id++) {
        size_t x, y, whole[2];
        int32_t ids[2];
        const char *p = bz_vocab_text(a, id, &x), *q = bz_vocab_text(b, id, &y);
        ck_assert_uint_eq(x, y);
        ck_assert_mem_eq(p, q, x);
        ck_assert(bz_vocab_score(a, id) <= bz_vocab_score(b, id) && bz_vocab_score(a, id) >= bz_vocab_score(b, id));
        ck_assert_int_eq(bz_vocab_type(a, id), bz_vocab_type(b, id));
        ck_assert_int_eq(bz_vocab_is_end(a, id), bz_vocab_is_end(b, id));
        ck_assert_int_eq(bz_vocab_is_structure(a, id), bz_vocab_is_structure(b, id));
        ck_assert_int_eq(bz_vocab_find(a, p, x), bz_vocab_find(b, q, y));
        ck_assert_int_eq(bz_vocab_piece(a, p, x), bz_vocab_piece(b, q, y));
        for (int special = 0; special < 2; special++) {
            whole[0] = bz_vocab_match(&ids[0], a, p, x, special);
            whole[1] = bz_vocab_match(&ids[1], b, q, y, special);
            ck_assert_uint_eq(whole[0], whole[1]);
            ck_assert(whole[0] == 0 || ids[0] == ids[1]);
        }
        ck_assert_int_eq(bz_vocab_may_cut(a, p, x, x / 2), bz_vocab_may_cut(b, q, y, y / 2));
    }
    for (int byte = 0; byte < 256; byte++)
        ck_assert_int_eq(bz_vocab_byte(a, (uint8_t)byte), bz_vocab_byte(b, (uint8_t)byte));
}

START_TEST(what_is_mapped_is_what_was_built)
{
    bezel_model *built = open_model(0), *mapped = open_model(1);
    check_same(built->vocab, mapped->vocab);
    ck_assert_mem_eq(built->fingerprint, mapped->fingerprint, sizeof built->fingerprint);
    ck_assert_int_eq(temp_folder_count(&folder, ".new"), 0);
    bezel_model_free(built);
    bezel_model_free(mapped);
}
END_TEST

START_TEST(a_changed_byte_anywhere_is_found_and_the_file_made_again)
{
    size_t size, n;
    bezel_model *m = open_model(0);
    char *path = only_file(), *bytes = temp_folder_read(path, &size);
    for (size_t at = 0; at < size; at += at < 100 ? 7 : 4099) {
        bytes[at] ^= 0x20;
        temp_folder_write(path, bytes, size);
        bytes[at] ^= 0x20;
        bezel_model *again = open_model(0);
        check_same(m->vocab, again->vocab);
        bezel_model_free(again);
        char *now = temp_folder_read(path, &n);
        ck_assert_uint_eq(n, size);
        ck_assert_mem_eq(now, bytes, size);
        free(now);
    }
    temp_folder_write(path, bytes, size - 1);
    bezel_model_free(open_model(0));
    bezel_model_free(open_model(1));
    bezel_model_free(m);
    free(bytes);
    free(path);
}
END_TEST

static bezel_status from_tables(const bezel_model *m, bz_vocab_tables *t)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bz_vocab *v;
    const bz_gguf *g = bz_weight_source_metadata(m->source);
    bz_vocab_facts facts = {.n_tokens = bz_vocab_size(m->vocab), .has_types = 1, .bos = m->special.bos, .eos = m->special.eos,
                            .unk = m->special.unk, .pad = m->special.pad, .eot = m->special.eot, .add_bos = 1,
                            .block = (const char *)g->header, .block_size = (size_t)g->header_size};
    const bezel_status status = bz_vocab_from_tables(&v, &tw.world, &facts, t, NULL, &err);
    bz_vocab_free(status == BEZEL_OK ? v : NULL);
    return status;
}

START_TEST(tables_that_lead_outside_are_refused)
{
    bezel_model *m = open_model(0);
    bz_vocab_tables t;
    bz_vocab_tables_of(&t, m->vocab);
    uint32_t *slots = malloc(t.slots_size);
    uint8_t *entries = malloc(t.entries_size);
    memcpy(slots, t.slots, t.slots_size);
    memcpy(entries, t.entries, t.entries_size);
    t.slots = slots;
    t.entries = entries;
    ck_assert_int_eq(from_tables(m, &t), BEZEL_OK);
    for (int what = 0; what < 4; what++) {
        const uint64_t at[] = {UINT64_MAX - 2, bz_weight_source_metadata(m->source)->header_size};
        uint8_t *entry = entries + 16 * 300, saved[16];
        const uint32_t slot = slots[5];
        memcpy(saved, entry, 16);
        if (what < 2)
            memcpy(entry, &at[what], 8);
        else if (what == 2)
            memset(entry + 12, 0xFF, 2); /* its size */
        else
            slots[5] = (uint32_t)bz_vocab_size(m->vocab) + 1;
        ck_assert_int_eq(from_tables(m, &t), BEZEL_ERR_FORMAT);
        memcpy(entry, saved, 16);
        slots[5] = slot;
    }
    ck_assert_int_eq(from_tables(m, &t), BEZEL_OK);
    free(slots);
    free(entries);
    bezel_model_free(m);
}
END_TEST

/* The folder's failures are no failures of the load; the model file's are. */
START_TEST(failing_file_calls_leave_nothing_unfinished)
{
    int n_opened = 0;
    for (long n = 1; n < 60; n++) {
        bezel_error err = BEZEL_ERROR_INIT;
        bezel_model *m;
        char *path = n % 2 ? only_file() : NULL; /* found and made */
        if (path)
            remove(path);
        free(path);
        test_world_arm_file(&tw, n, n % 3 ? BEZEL_ERR_IO : BEZEL_ERR_FULL);
        const bezel_status status = try_open(&m, engine, &err);
        test_world_arm_file(&tw, 0, BEZEL_ERR_IO);
        ck_assert(status == BEZEL_OK || status == BEZEL_ERR_IO || status == BEZEL_ERR_FULL);
        n_opened += status == BEZEL_OK;
        if (status == BEZEL_OK) {
            bezel_model *fresh;
            ck_assert_int_eq(try_open(&fresh, engine, &err), BEZEL_OK);
            check_same(m->vocab, fresh->vocab);
            bezel_model_free(fresh);
            bezel_model_free(m);
        }
        ck_assert_int_eq(temp_folder_count(&folder, ".new"), 0);
    }
    ck_assert_int_ge(n_opened, 40);
}
END_TEST

START_TEST(a_disk_without_room_changes_no_answer)
{
    const pid_t child = fork();
    if (child == 0) {
        const struct rlimit little = {5000, 5000};
        tiny_model t;
        bezel_error err = BEZEL_ERROR_INIT;
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &little);
        ck_assert_int_eq(bezel_engine_new(&t.engine, NULL, &err), BEZEL_OK);
        _exit(try_open(&t.model, t.engine, &err) == BEZEL_OK && t.model->vocab_map.map == NULL ? 0 : 1);
    }
    int status = -1;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    ck_assert_int_eq(temp_folder_count(&folder, ".vocab"), 0);
    bezel_model_free(open_model(0));
    bezel_model_free(open_model(1));
}
END_TEST

static pid_t child_that_opens(int rounds)
{
    const pid_t child = fork();
    if (child != 0)
        return child;
    for (int i = 0; i < rounds; i++) {
        bezel_error err = BEZEL_ERROR_INIT;
        bezel_engine *e;
        bezel_model *m;
        char *path;
        if (bezel_engine_new(&e, NULL, &err) != BEZEL_OK || try_open(&m, e, &err) != BEZEL_OK)
            _exit(1);
        bezel_model_free(m);
        bezel_engine_free(e);
        if (rounds > 1 && (path = only_file()) != NULL) {
            remove(path);
            free(path);
        }
    }
    _exit(0);
}

START_TEST(processes_that_write_at_once_leave_one_good_file)
{
    for (int round = 0; round < 8; round++) {
        pid_t child[3];
        for (int i = 0; i < 3; i++)
            child[i] = child_that_opens(1);
        for (int i = 0; i < 3; i++) {
            int status = -1;
            ck_assert_int_eq(waitpid(child[i], &status, 0), child[i]);
            ck_assert_int_eq(status, 0);
        }
        bezel_model_free(open_model(1));
        ck_assert_int_eq(temp_folder_count(&folder, ".new"), 0);
        char *path = only_file();
        remove(path);
        free(path);
    }
}
END_TEST

START_TEST(a_process_killed_at_any_moment_leaves_nothing_that_is_believed)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_model *plain, *m;
    ck_assert_int_eq(bezel_model_open(&plain, engine, TINY_MODEL_PATH, NULL, &err), BEZEL_OK);
    for (useconds_t delay = 0; delay < 60; delay++) {
        const pid_t child = child_that_opens(1000);
        usleep(3000 + delay * 677);
        kill(child, SIGKILL);
        ck_assert_int_eq(waitpid(child, NULL, 0), child);
        ck_assert_msg(try_open(&m, engine, &err) == BEZEL_OK, "%s", err.text);
        check_same(plain->vocab, m->vocab);
        bezel_model_free(m);
    }
    bezel_model_free(plain);
}
END_TEST

START_TEST(what_nobody_uses_is_removed)
{
    static const char *const names[] = {"old.vocab", "old.vocab.used", "killed.vocab.new-0123456789abcdef", "used.vocab", "mine.txt"};
    const struct timespec long_ago[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *file = temp_folder_file(&folder, names[i]);
        temp_folder_write(file, "x", 1);
        if (i != 3)
            ck_assert_int_eq(utimensat(AT_FDCWD, file, long_ago, 0), 0);
    }
    bezel_model_free(open_model(0));
    ck_assert_int_eq(temp_folder_count(&folder, "old.vocab"), 0);
    ck_assert_int_eq(temp_folder_count(&folder, "killed.vocab"), 0);
    ck_assert_int_eq(temp_folder_count(&folder, "used.vocab"), 1);
    ck_assert_int_eq(temp_folder_count(&folder, "mine.txt"), 1);
}
END_TEST

static bezel_status open_once(test_world *world, void *ctx)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_engine *e;
    bezel_model *m = NULL;
    char *path = *(int *)ctx ? NULL : only_file();
    if (path)
        remove(path);
    free(path);
    bezel_status status = test_engine_try(&e, world, 1, BEZEL_ISA_AUTO, &err);
    if (status != BEZEL_OK)
        return status;
    status = try_open(&m, e, &err);
    bezel_model_free(m);
    bezel_engine_free(e);
    /* what only tidying the folder lacks memory for is no failure of the load */
    return status == BEZEL_OK && atomic_load(&world->n_failed) > 0 ? BEZEL_ERR_MEMORY : status;
}

START_TEST(a_failing_allocation_leaves_nothing)
{
    test_world w;
    for (int is_there = 0; is_there < 2; is_there++) {
        test_world_init(&w);
        test_world_sweep(&w, open_once, &is_there, BEZEL_OK);
        ck_assert(test_world_is_clean(&w));
        ck_assert_int_eq(temp_folder_count(&folder, ".new"), 0);
    }
}
END_TEST

Suite *vocab_file_suite(void)
{
    Suite *s = suite_create("vocab_file");
    TCase *c = tcase_create("file");
    tcase_set_timeout(c, 120);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, what_is_mapped_is_what_was_built);
    tcase_add_test(c, a_changed_byte_anywhere_is_found_and_the_file_made_again);
    tcase_add_test(c, tables_that_lead_outside_are_refused);
    tcase_add_test(c, failing_file_calls_leave_nothing_unfinished);
    tcase_add_test(c, a_disk_without_room_changes_no_answer);
    tcase_add_test(c, processes_that_write_at_once_leave_one_good_file);
    tcase_add_test(c, a_process_killed_at_any_moment_leaves_nothing_that_is_believed);
    tcase_add_test(c, what_nobody_uses_is_removed);
    tcase_add_test(c, a_failing_allocation_leaves_nothing);
    suite_add_tcase(s, c);
    return s;
}
