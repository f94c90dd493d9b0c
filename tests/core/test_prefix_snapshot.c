/* SPDX-License-Identifier: MIT */
/* Beginnings in the cache folder: a session that finds one answers as one that computed it, to the bit; damage, other
 * models and other numbers are found; failures and kills leave nothing that is believed; the folder stays within its limit. */
#include <bezel/session.h>

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
#include <time.h>
#include <unistd.h>

#include "generate/session_impl.h"
#include "model/prefix_folder.h"
#include "support/temp_folder.h"
#include "support/test_world.h"
#include "support/tiny_model.h"

Suite *prefix_snapshot_suite(void);

enum { CTX = 1000, ANSWER = 12, PREFIX = 300, LONG = 700, PROMPT = 730 };

static temp_folder folder;

static void setup(void)
{
    temp_folder_make(&folder);
}

static void teardown(void)
{
    temp_folder_remove(&folder);
}

/* --- Helpers ------------------------------------------------------------------------------ */

static bezel_status open_status(tiny_model *t, const bezel_world *w, uint32_t isa, uint64_t limit, bezel_error *err)
{
    bezel_engine_options e;
    bezel_model_options o;
    memset(t, 0, sizeof *t);
    bezel_engine_options_init(&e);
    e.world = w;
    e.isa = isa;
    e.threads = 2;
    bezel_status status = bezel_engine_new(&t->engine, &e, err);
    if (status != BEZEL_OK)
        return status;
    bezel_model_options_init(&o);
    o.cache_folder = folder.path;
    o.raw_weights = 1; /* mappings are counted */
    o.cache_limit = limit;
    status = bezel_model_open(&t->model, t->engine, TINY_MODEL_PATH, &o, err);
    if (status != BEZEL_OK)
        bezel_engine_free(t->engine);
    return status;
}

static void open_model(tiny_model *t, const bezel_world *w)
{
    bezel_error err = BEZEL_ERROR_INIT;
    ck_assert_msg(open_status(t, w, BEZEL_ISA_AUTO, 0, &err) == BEZEL_OK, "%s", err.text);
}

static bezel_session *session_with(const tiny_model *t, size_t prefix, uint32_t seed, uint32_t activations)
{
    int32_t ids[PROMPT];
    bezel_session *s = tiny_model_session(t, CTX, 64, activations);
    tiny_model_ids(ids, PROMPT, seed);
    ck_assert_int_eq(bezel_session_set(s, ids, prefix + 30, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_session_prefix(s, prefix, NULL), BEZEL_OK);
    return s;
}

/* Computes a beginning and waits for its file. */
static void keep(const tiny_model *t, size_t prefix, uint32_t seed, uint32_t activations)
{
    int32_t answer[ANSWER];
    bezel_session *s = session_with(t, prefix, seed, activations);
    ck_assert_uint_eq(bezel_session_cached(s), 0);
    tiny_model_greedy(answer, s, ANSWER);
    bezel_session_free(s);
    bz_prefix_folder_wait(t->model->prefixes);
}

static int is_found(const tiny_model *t, size_t prefix, uint32_t seed, uint32_t activations)
{
    bezel_session *s = session_with(t, prefix, seed, activations);
    const size_t cached = bezel_session_cached(s);
    ck_assert(cached == 0 || cached == prefix);
    bezel_session_free(s);
    return cached != 0;
}

static void check_like_fresh(const tiny_model *t, bezel_session *s)
{
    int32_t ids[CTX], mine[ANSWER], fresh[ANSWER];
    size_t n;
    const int32_t *now = bezel_session_ids(s, &n);
    memcpy(ids, now, n * sizeof *ids);
    bezel_session *f = tiny_model_session(t, CTX, 64, s->activations);
    ck_assert_int_eq(bezel_session_set(f, ids, n, NULL), BEZEL_OK);
    ck_assert_uint_eq(tiny_model_greedy(fresh, f, ANSWER), ANSWER);
    ck_assert_uint_eq(tiny_model_greedy(mine, s, ANSWER), ANSWER);
    ck_assert_mem_eq(mine, fresh, sizeof mine);
    ck_assert_mem_eq(f->logits, s->logits, t->model->config.V * sizeof *s->logits);
    ck_assert_int_eq(bezel_session_rewind(s, n, NULL), BEZEL_OK);
    bezel_session_free(f);
}

static char *only_file(void)
{
    char pattern[512];
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s/*.prefix", folder.path);
    ck_assert_int_eq(glob(pattern, 0, NULL, &found), 0);
    ck_assert_uint_eq(found.gl_pathc, 1);
    char *path = strdup(found.gl_pathv[0]);
    globfree(&found);
    return path;
}

/* --- Right answers ------------------------------------------------------------------------- */

static bezel_session *session_of_form(const tiny_model *t, uint32_t kv)
{
    bezel_session_options o;
    bezel_session *s = NULL;
    bezel_session_options_init(&o);
    o.n_ctx = CTX;
    o.kv = kv;
    o.activations = kv == BEZEL_KV_F32 ? BEZEL_ACTIVATIONS_F32 : BEZEL_ACTIVATIONS_Q8;
    ck_assert_int_eq(bezel_session_new(&s, t->model, &o, NULL), BEZEL_OK);
    return s;
}

/* Two sessions one after another, each of its own model as in two processes: the first computes, the second finds. */
static void check_form(uint32_t kv, size_t n)
{
    int32_t ids[PROMPT], answers[2][ANSWER];
    float *logits = NULL;
    tiny_model_ids(ids, PROMPT, 5);
    for (int i = 0; i < 2; ++i) {
        tiny_model t;
        open_model(&t, NULL);
        bezel_session *s = session_of_form(&t, kv);
        const size_t size = t.model->config.V * sizeof *s->logits;
        ck_assert_int_eq(bezel_session_set(s, ids, n + 30, NULL), BEZEL_OK);
        ck_assert_int_eq(bezel_session_prefix(s, n, NULL), BEZEL_OK);
        ck_assert_uint_eq(bezel_session_cached(s), i == 0 ? 0 : n);
        ck_assert_uint_eq(tiny_model_greedy(answers[i], s, ANSWER), ANSWER);
        if (i == 0) {
            logits = malloc(size);
            memcpy(logits, s->logits, size);
        } else {
            ck_assert_mem_eq(logits, s->logits, size);
        }
        bezel_session_free(s);
        tiny_model_close(&t);
    }
    ck_assert_mem_eq(answers[0], answers[1], sizeof answers[0]);
    free(logits);
}

START_TEST(a_found_beginning_gives_the_bits_of_a_computed_one)
{
    for (uint32_t kv = BEZEL_KV_F32; kv <= BEZEL_KV_INT8; ++kv) {
        check_form(kv, PREFIX);
        check_form(kv, LONG); /* longer than a window and its slack */
    }
    ck_assert_int_eq(temp_folder_count(&folder, ".new"), 0);
}
END_TEST

START_TEST(a_session_goes_on_forks_rewinds_and_is_saved_as_any_other)
{
    tiny_model t;
    bezel_session *fork = NULL;
    int32_t answer[ANSWER], more[200];
    size_t n;
    open_model(&t, NULL);
    keep(&t, LONG, 5, 0);
    bezel_session *s = session_with(&t, LONG, 5, 0);
    ck_assert_int_eq(bezel_session_fork(&fork, s, NULL), BEZEL_OK); /* nothing of its own yet */
    check_like_fresh(&t, fork);
    bezel_session_free(fork);
    tiny_model_greedy(answer, s, ANSWER);
    ck_assert_int_eq(bezel_session_fork(&fork, s, NULL), BEZEL_OK);
    ck_assert_uint_eq(bezel_session_cached(fork), bezel_session_cached(s));
    check_like_fresh(&t, fork);
    const char *path = temp_folder_file(&folder, "saved");
    ck_assert_int_eq(bezel_session_save(s, path, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_session_rewind(s, LONG - 7, NULL), BEZEL_OK); /* into the file's rows, then over their places */
    ck_assert_uint_eq(bezel_session_cached(s), LONG - 7);
    tiny_model_ids(more, 200, 9);
    ck_assert_int_eq(bezel_session_append(s, more, 200, NULL), BEZEL_OK);
    check_like_fresh(&t, s);
    ck_assert_int_eq(bezel_session_rewind(s, 10, NULL), BEZEL_OK);
    ck_assert_uint_eq(bezel_session_cached(s), 0); /* the window's rows are not there */
    check_like_fresh(&t, s);
    ck_assert_int_eq(bezel_session_load(s, path, NULL), BEZEL_OK);
    (void)bezel_session_ids(s, &n);
    ck_assert_uint_eq(n, LONG + 30 + ANSWER);
    check_like_fresh(&t, s);
    bezel_session_free(s);
    check_like_fresh(&t, fork);
    bezel_session_free(fork);
    tiny_model_close(&t);
}
END_TEST

START_TEST(sessions_share_one_mapping_and_it_goes_with_the_model)
{
    tiny_model t;
    test_world tw;
    bezel_session *s[8];
    test_world_init(&tw);
    open_model(&t, &tw.world);
    keep(&t, PREFIX, 5, 0);
    const int64_t before = tw.maps;
    for (int i = 0; i < 8; ++i) {
        s[i] = session_with(&t, PREFIX, 5, 0);
        ck_assert_ptr_eq(s[i]->cache->base, s[0]->cache->base);
    }
    ck_assert_int_eq(tw.maps, before + 1);
    for (int i = 0; i < 8; ++i)
        bezel_session_free(s[i]);
    for (uint32_t seed = 10; seed < 30; ++seed) { /* unused ones do not pile up */
        keep(&t, 20, seed, 0);
        ck_assert_int_eq(is_found(&t, 20, seed, 0), 1);
    }
    ck_assert_int_le(tw.maps, before + 9);
    tiny_model_close(&t);
    ck_assert(test_world_is_clean(&tw));
}
END_TEST

START_TEST(what_differs_in_anything_is_not_found)
{
    tiny_model t;
    bezel_error err = BEZEL_ERROR_INIT;
    open_model(&t, NULL);
    keep(&t, PREFIX, 5, 2);
    ck_assert_int_eq(is_found(&t, PREFIX, 5, 2), 1);
    ck_assert_int_eq(is_found(&t, PREFIX, 5, 1), 0);     /* numbers */
    ck_assert_int_eq(is_found(&t, PREFIX, 6, 2), 0);     /* tokens */
    ck_assert_int_eq(is_found(&t, PREFIX - 1, 5, 2), 0); /* length */
    bezel_session *s = session_with(&t, 10, 5, 2);       /* too short to be worth it */
    ck_assert_int_eq(bezel_session_prefix(s, 41, &err), BEZEL_ERR_RANGE);
    ck_assert_int_eq(bezel_session_prefix(NULL, 1, &err), BEZEL_ERR_ARGUMENT);
    bezel_session_free(s);
    const uint32_t other = t.engine->isa == BEZEL_ISA_SCALAR ? BEZEL_ISA_AVX2 : BEZEL_ISA_SCALAR;
    tiny_model_close(&t);
    if (bz_kernel_has(other)) { /* another level */
        ck_assert_int_eq(open_status(&t, NULL, other, 0, &err), BEZEL_OK);
        ck_assert_int_eq(is_found(&t, PREFIX, 5, 2), 0);
        tiny_model_close(&t);
    }
    tiny_model_open(&t, BEZEL_ISA_AUTO, 1, NULL); /* no folder */
    ck_assert_int_eq(is_found(&t, PREFIX, 5, 2), 0);
    tiny_model_close(&t);
}
END_TEST

/* --- Damage -------------------------------------------------------------------------------- */

START_TEST(a_changed_byte_anywhere_is_found_and_the_file_made_again)
{
    tiny_model t;
    size_t size;
    struct stat info;
    open_model(&t, NULL);
    keep(&t, PREFIX, 5, 0);
    tiny_model_close(&t);
    char *path = only_file(), *bytes = temp_folder_read(path, &size);
    ck_assert_int_eq(stat(path, &info), 0);
    ck_assert_uint_eq(info.st_mode & 0777, 0600);
    open_model(&t, NULL);
    for (size_t i = 0; i < 60; ++i) {
        const size_t at = i < 20 ? i * 4 : i < 40 ? 64 + (i - 20) * 97 : size - 1 - (i - 40) * (size / 21);
        bytes[at] ^= 4;
        temp_folder_write(path, bytes, size);
        bytes[at] ^= 4;
        ck_assert_msg(!is_found(&t, PREFIX, 5, 0), "byte %zu", at);
        ck_assert_int_eq(temp_folder_count(&folder, ".prefix"), temp_folder_count(&folder, ".prefix.used"));
    }
    const size_t sizes[] = {0, 1, 4095, size - 1, size + 1};
    for (size_t i = 0; i < 5; ++i) {
        char *other = calloc(1, size + 1);
        memcpy(other, bytes, size);
        temp_folder_write(path, other, sizes[i]);
        free(other);
        ck_assert_int_eq(is_found(&t, PREFIX, 5, 0), 0);
    }
    keep(&t, PREFIX, 5, 0);
    ck_assert_int_eq(is_found(&t, PREFIX, 5, 0), 1);
    tiny_model_close(&t);
    free(bytes);
    free(path);
}
END_TEST

START_TEST(failing_files_change_no_answer_and_leave_nothing_unfinished)
{
    tiny_model t;
    test_world tw;
    int n_kept = 0;
    test_world_init(&tw);
    for (long n = 1; n < 60; ++n) {
        open_model(&t, &tw.world);
        bezel_session *s = session_with(&t, PREFIX, (uint32_t)n, 0);
        test_world_arm_file(&tw, n, n % 2 ? BEZEL_ERR_FULL : BEZEL_ERR_IO);
        check_like_fresh(&t, s);
        bezel_session_free(s);
        bz_prefix_folder_wait(t.model->prefixes);
        s = session_with(&t, PREFIX, (uint32_t)n, 0); /* the n-th call may be one of these */
        check_like_fresh(&t, s);
        bezel_session_free(s);
        tiny_model_close(&t);
        test_world_arm_file(&tw, 0, BEZEL_ERR_IO);
        ck_assert(test_world_is_clean(&tw));
        open_model(&t, &tw.world);
        n_kept += is_found(&t, PREFIX, (uint32_t)n, 0);
        tiny_model_close(&t);
    }
    ck_assert_int_ge(n_kept, 20);
    ck_assert_int_eq(temp_folder_count(&folder, ".new"), 0);
}
END_TEST

START_TEST(a_disk_without_room_changes_no_answer)
{
    const pid_t child = fork();
    if (child == 0) {
        const struct rlimit little = {50000, 50000};
        tiny_model t;
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &little);
        open_model(&t, NULL);
        keep(&t, PREFIX, 5, 0);
        _exit(is_found(&t, PREFIX, 5, 0));
    }
    int status = -1;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    ck_assert_int_eq(temp_folder_count(&folder, ".prefix"), 0);
}
END_TEST

static bezel_status sweep_once(test_world *tw, void *ctx)
{
    tiny_model t;
    int32_t ids[60];
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_session *s = NULL;
    bezel_job *job = NULL;
    bezel_session_options so;
    bezel_generate_options go;
    bezel_status status = open_status(&t, &tw->world, BEZEL_ISA_AUTO, 0, &err);
    if (status != BEZEL_OK)
        return status;
    bezel_session_options_init(&so);
    so.n_ctx = 128;
    bezel_generate_options_init(&go);
    go.max_tokens = 2;
    tiny_model_ids(ids, 60, *(uint32_t *)ctx);
    status = bezel_session_new(&s, t.model, &so, &err);
    if (status == BEZEL_OK)
        status = bezel_session_set(s, ids, 60, &err);
    if (status == BEZEL_OK)
        status = bezel_session_prefix(s, 40, &err);
    if (status == BEZEL_OK)
        status = bezel_generate(&job, s, &go, &err);
    while (status == BEZEL_OK && (status = bezel_job_step(job, -1, &err)) > 0 && status != BEZEL_DONE)
        status = BEZEL_OK;
    bezel_job_free(job);
    bezel_session_free(s);
    bezel_model_free(t.model);
    bezel_engine_free(t.engine);
    /* what only the folder lacks memory for is no failure of the session */
    return status == BEZEL_DONE ? (atomic_load(&tw->n_failed) > 0 ? BEZEL_ERR_MEMORY : BEZEL_OK) : status;
}

START_TEST(a_failing_allocation_leaves_nothing)
{
    test_world tw;
    uint32_t seed = 5;
    test_world_init(&tw);
    test_world_sweep(&tw, sweep_once, &seed, BEZEL_OK); /* the last runs find the file */
    ck_assert_int_eq(temp_folder_count(&folder, ".new"), 0);
}
END_TEST

/* --- Several processes --------------------------------------------------------------------- */

static pid_t child_that_keeps(uint32_t seed, int rounds)
{
    const pid_t child = fork();
    if (child != 0)
        return child;
    for (int i = 0; i < rounds; ++i) {
        tiny_model t;
        char *path;
        open_model(&t, NULL);
        bezel_session *s = session_with(&t, PREFIX, seed, 0);
        check_like_fresh(&t, s);
        bezel_session_free(s);
        bz_prefix_folder_wait(t.model->prefixes);
        tiny_model_close(&t);
        if (rounds > 1 && (path = only_file()) != NULL) {
            remove(path);
            free(path);
        }
    }
    _exit(0);
}

START_TEST(processes_that_write_at_once_leave_a_good_file)
{
    for (int round = 0; round < 4; ++round) {
        pid_t child[3];
        int status = 0;
        tiny_model t;
        for (int i = 0; i < 3; ++i)
            child[i] = child_that_keeps((uint32_t)round, 1);
        for (int i = 0; i < 3; ++i) {
            ck_assert_int_eq(waitpid(child[i], &status, 0), child[i]);
            ck_assert_int_eq(status, 0);
        }
        open_model(&t, NULL);
        ck_assert_int_eq(is_found(&t, PREFIX, (uint32_t)round, 0), 1);
        tiny_model_close(&t);
        ck_assert_int_eq(temp_folder_count(&folder, ".new"), 0);
    }
}
END_TEST

START_TEST(a_process_killed_at_any_moment_leaves_nothing_that_is_believed)
{
    tiny_model t;
    for (useconds_t delay = 0; delay < 60; ++delay) {
        const pid_t child = child_that_keeps(7, 1000);
        usleep(5000 + delay * 977);
        kill(child, SIGKILL);
        ck_assert_int_eq(waitpid(child, NULL, 0), child);
        open_model(&t, NULL);
        bezel_session *s = session_with(&t, PREFIX, 7, 0);
        check_like_fresh(&t, s);
        bezel_session_free(s);
        tiny_model_close(&t);
    }
}
END_TEST

/* --- The folder ----------------------------------------------------------------------------- */

static void set_age(const char *part, time_t seconds)
{
    char pattern[512];
    glob_t found;
    const time_t then = time(NULL) - seconds;
    const struct timespec times[2] = {{.tv_sec = then}, {.tv_sec = then}};
    snprintf(pattern, sizeof pattern, "%s/%s", folder.path, part);
    ck_assert_int_eq(glob(pattern, 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; ++i)
        ck_assert_int_eq(utimensat(AT_FDCWD, found.gl_pathv[i], times, 0), 0);
    globfree(&found);
}

START_TEST(the_least_recently_used_go_when_the_limit_is_reached)
{
    tiny_model t;
    struct stat info;
    open_model(&t, NULL);
    keep(&t, PREFIX, 1, 0);
    char *path = only_file();
    ck_assert_int_eq(stat(path, &info), 0);
    free(path);
    tiny_model_close(&t);
    const uint64_t limit = (uint64_t)info.st_size * 3 + 100;
    for (uint32_t seed = 1; seed <= 4; ++seed) {
        set_age("*.prefix*", 7200 - (time_t)seed * 60);
        if (seed == 4) { /* the oldest is used again */
            open_model(&t, NULL);
            ck_assert_int_eq(is_found(&t, PREFIX, 1, 0), 1);
            tiny_model_close(&t);
        }
        ck_assert_int_eq(open_status(&t, NULL, BEZEL_ISA_AUTO, limit, NULL), BEZEL_OK);
        if (seed > 1)
            keep(&t, PREFIX, seed, 0);
        tiny_model_close(&t);
        if (seed == 2)
            set_age("*.prefix*", 7200);
    }
    ck_assert_int_eq(temp_folder_count(&folder, ".prefix") - temp_folder_count(&folder, ".prefix.used"), 3);
    open_model(&t, NULL);
    ck_assert_int_eq(is_found(&t, PREFIX, 1, 0), 1);
    ck_assert_int_eq(is_found(&t, PREFIX, 4, 0), 1);
    tiny_model_close(&t);
    ck_assert_int_eq(open_status(&t, NULL, BEZEL_ISA_AUTO, 1, NULL), BEZEL_OK); /* a limit that nothing fits */
    keep(&t, PREFIX, 9, 0);
    ck_assert_int_eq(is_found(&t, PREFIX, 9, 0), 0);
    tiny_model_close(&t);
}
END_TEST

START_TEST(what_killed_processes_left_and_what_nobody_uses_is_removed)
{
    tiny_model t; /* the names of real snapshots are hexadecimal: none ends like one of these */
    temp_folder_write(temp_folder_file(&folder, "left-0.prefix.new-0123456789abcdef"), "x", 1);
    temp_folder_write(temp_folder_file(&folder, "left-1.prefix"), "x", 1);
    set_age("*.prefix*", 91 * 24 * 3600);
    temp_folder_write(temp_folder_file(&folder, "left-2.prefix.new-0123456789abcdef"), "x", 1);
    temp_folder_write(temp_folder_file(&folder, "mine.txt"), "x", 1);
    open_model(&t, NULL);
    keep(&t, PREFIX, 1, 0);
    tiny_model_close(&t);
    ck_assert_int_eq(temp_folder_count(&folder, "left-0.prefix"), 0);
    ck_assert_int_eq(temp_folder_count(&folder, "left-1.prefix"), 0);
    ck_assert_int_eq(temp_folder_count(&folder, "left-2.prefix.new"), 1);
    ck_assert_int_eq(temp_folder_count(&folder, "mine.txt"), 1);
}
END_TEST

Suite *prefix_snapshot_suite(void)
{
    Suite *s = suite_create("prefix_snapshot");
    TCase *c = tcase_create("prefix");
    tcase_set_timeout(c, 240);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, a_found_beginning_gives_the_bits_of_a_computed_one);
    tcase_add_test(c, a_session_goes_on_forks_rewinds_and_is_saved_as_any_other);
    tcase_add_test(c, sessions_share_one_mapping_and_it_goes_with_the_model);
    tcase_add_test(c, what_differs_in_anything_is_not_found);
    tcase_add_test(c, a_changed_byte_anywhere_is_found_and_the_file_made_again);
    tcase_add_test(c, failing_files_change_no_answer_and_leave_nothing_unfinished);
    tcase_add_test(c, a_disk_without_room_changes_no_answer);
    tcase_add_test(c, a_failing_allocation_leaves_nothing);
    tcase_add_test(c, processes_that_write_at_once_leave_a_good_file);
    tcase_add_test(c, a_process_killed_at_any_moment_leaves_nothing_that_is_believed);
    tcase_add_test(c, the_least_recently_used_go_when_the_limit_is_reached);
    tcase_add_test(c, what_killed_processes_left_and_what_nobody_uses_is_removed);
    suite_add_tcase(s, c);
    return s;
}
