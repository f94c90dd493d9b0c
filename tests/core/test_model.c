/* SPDX-License-Identifier: MIT */
/* bezel_model end to end on made files: every option, the job, every failing allocation and file call, files that change,
 * every tensor spoiled in turn. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bezel/bezel.h>

#include "base/rng.h"
#include "model/model_impl.h"
#include "support/model_maker.h"
#include "support/test_engine.h"

static bezel_engine *engine;
static model_maker maker;
static char path[MODEL_MAKER_PATH];

static void setup(void)
{
    engine = test_engine_new(NULL, 1, BEZEL_ISA_SCALAR);
    model_maker_init(&maker, 7);
    path[0] = '\0';
}

static void teardown(void)
{
    if (path[0])
        unlink(path);
    bezel_engine_free(engine);
}

/* Opens what the maker makes; the status. *out NULL on failure. */
static bezel_status open_made(bezel_model **out, const bezel_model_options *options, bezel_error *err)
{
    if (path[0])
        unlink(path);
    model_maker_file(&maker, path);
    return bezel_model_open(out, engine, path, options, err);
}

static void expect_failure(bezel_status expected, const char *place, const char *what)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_model *m = NULL;
    bezel_status status = open_made(&m, NULL, &err);
    ck_assert_msg(status == expected, "%s: %s (%s), expected %s", what, bezel_status_name(status), err.text,
                  bezel_status_name(expected));
    ck_assert_ptr_null(m);
    ck_assert_msg(strstr(err.text, place) != NULL, "%s: \"%s\" does not name %s", what, err.text, place);
    ck_assert_int_eq(err.status, expected);
}

/* --- Opening ------------------------------------------------------------------------------ */

START_TEST(a_made_model_opens_and_says_what_it_is)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_model *m = NULL;
    ck_assert_msg(open_made(&m, NULL, &err) == BEZEL_OK, "%s", err.text);
    ck_assert_ptr_eq(bezel_model_engine(m), engine);
    ck_assert_str_eq(bezel_model_path(m), path);
    ck_assert_str_eq(bezel_model_name(m), "Made Gemma");
    ck_assert_uint_eq(bezel_model_kind(m), BEZEL_KIND_PRETRAINED);
    ck_assert_uint_eq(bezel_model_context_length(m), 1024);
    ck_assert_uint_eq(bezel_model_vocab_size(m), m->config.V);
    ck_assert_int_eq(bezel_token_bos(m), 2);
    ck_assert_int_eq(bezel_token_is_end(m, 1), 1);
    ck_assert_int_eq(bezel_token_is_end(m, bezel_token_id(m, "<end_of_turn>", SIZE_MAX)), 1);
    ck_assert_int_eq(bezel_token_id(m, "no such entry", SIZE_MAX), -1);
    ck_assert_uint_eq(m->notes.count, 0);
    bezel_model_free(m);
}
END_TEST

START_TEST(a_name_is_taken_from_the_file_name_when_the_file_has_none)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_model *m = NULL;
    maker.name = NULL;
    ck_assert_int_eq(open_made(&m, NULL, &err), BEZEL_OK);
    ck_assert_str_eq(bezel_model_name(m), strrchr(path, '/') + 1);
    bezel_model_free(m);
}
END_TEST

START_TEST(a_chat_template_makes_an_instruct_model_unless_overridden)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_model_options o;
    bezel_model *m = NULL;
    bezel_model_options_init(&o);
    maker.chat_template = MODEL_MAKER_TEMPLATE;
    ck_assert_int_eq(open_made(&m, &o, &err), BEZEL_OK);
    ck_assert_uint_eq(bezel_model_kind(m), BEZEL_KIND_INSTRUCT);
    ck_assert_uint_eq(m->chat_template_size, strlen(MODEL_MAKER_TEMPLATE));
    ck_assert_int_eq(memcmp(m->chat_template, MODEL_MAKER_TEMPLATE, m->chat_template_size), 0);
    bezel_model_free(m);
    o.kind = BEZEL_KIND_PRETRAINED;
    ck_assert_int_eq(open_made(&m, &o, &err), BEZEL_OK);
    ck_assert_uint_eq(bezel_model_kind(m), BEZEL_KIND_PRETRAINED);
    bezel_model_free(m);
}
END_TEST

START_TEST(a_name_that_says_instruct_without_a_template_only_makes_a_remark)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_model *m = NULL;
    maker.name = "Gemma 3 270m It";
    ck_assert_int_eq(open_made(&m, NULL, &err), BEZEL_OK);
    ck_assert_uint_eq(bezel_model_kind(m), BEZEL_KIND_PRETRAINED);
    ck_assert_uint_eq(m->notes.count, 1);
    bezel_model_free(m);
    maker.name = "Italian Gemma";
    ck_assert_int_eq(open_made(&m, NULL, &err), BEZEL_OK);
    ck_assert_uint_eq(m->notes.count, 0);
    bezel_model_free(m);
}
END_TEST

static bezel_status read_bytes(void *ud, uint64_t offset, void *buffer, size_t size)
{
    memcpy(buffer, (const uint8_t *)ud + offset, size);
    return BEZEL_OK;
}

static int same_weights(const bezel_model *a, const bezel_model *b)
{
    const bz_tensor *x = &a->weights.layers[3].down, *y = &b->weights.layers[3].down;
    return x->N == y->N && x->K == y->K && memcmp(x->data, y->data, x->N * bz_tensor_row_size(x)) == 0 &&
           memcmp(a->weights.output_norm, b->weights.output_norm, a->config.D * sizeof(float)) == 0 &&
           memcmp(a->fingerprint, b->fingerprint, sizeof a->fingerprint) == 0;
}

START_TEST(mapped_read_and_host_delivered_weights_are_the_same)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_model_options o;
    bezel_model *mapped = NULL, *in_memory = NULL, *hosted = NULL;
    size_t size = 0;
    void *bytes = model_maker_bytes(&maker, &size);
    bezel_model_options_init(&o);
    o.check_weights = 1;
    ck_assert_msg(open_made(&mapped, &o, &err) == BEZEL_OK, "%s", err.text);
    o.map = 0;
    ck_assert_msg(bezel_model_open(&in_memory, engine, path, &o, &err) == BEZEL_OK, "%s", err.text);
    o.map = 1;
    o.read = read_bytes;
    o.read_ud = bytes;
    o.read_size = size;
    ck_assert_msg(bezel_model_open(&hosted, engine, "in memory", &o, &err) == BEZEL_OK, "%s", err.text);
    ck_assert_int_eq(mapped->is_mapped, 1);
    ck_assert_int_eq(in_memory->is_mapped, 0);
    ck_assert_int_eq(hosted->is_mapped, 0);
    ck_assert(same_weights(mapped, in_memory));
    ck_assert(same_weights(mapped, hosted));
    ck_assert_str_eq(bezel_model_path(hosted), "in memory");
    bezel_model_free(mapped);
    bezel_model_free(in_memory);
    bezel_model_free(hosted);
    free(bytes);
}
END_TEST

START_TEST(two_files_have_two_fingerprints)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_model *a = NULL, *b = NULL;
    ck_assert_int_eq(open_made(&a, NULL, &err), BEZEL_OK);
    maker.seed = 8; /* other weights, the same header */
    ck_assert_int_eq(open_made(&b, NULL, &err), BEZEL_OK);
    ck_assert_int_ne(memcmp(a->fingerprint, b->fingerprint, 16), 0);
    bezel_model_free(a);
    bezel_model_free(b);
}
END_TEST

START_TEST(wrong_options_are_refused)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_model_options o;
    bezel_model *m = NULL;
    bezel_model_options_init(&o);
    ck_assert_int_eq(bezel_model_open(NULL, engine, "x", NULL, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_int_eq(bezel_model_open(&m, NULL, "x", NULL, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_int_eq(bezel_model_open(&m, engine, NULL, NULL, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_int_eq(bezel_model_open(&m, engine, "", NULL, &err), BEZEL_ERR_ARGUMENT);
    o.kind = 3;
    ck_assert_int_eq(bezel_model_open(&m, engine, "x", &o, &err), BEZEL_ERR_ARGUMENT);
    bezel_model_options_init(&o);
    o.read = read_bytes;
    ck_assert_int_eq(bezel_model_open(&m, engine, "x", &o, &err), BEZEL_ERR_ARGUMENT);
    bezel_model_options_init(&o);
    o.size = 3;
    ck_assert_int_eq(bezel_model_open(&m, engine, "x", &o, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_ptr_null(m);
    bezel_model_free(NULL);
}
END_TEST

/* --- Job ---------------------------------------------------------------------------------- */

START_TEST(a_load_job_reports_rising_progress_and_gives_its_model_once)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_job *job = NULL;
    bezel_model *m = NULL;
    bezel_event event = {.size = (uint32_t)sizeof event};
    bezel_status status;
    double last = 0.0;
    int events = 0;
    model_maker_file(&maker, path);
    ck_assert_msg(bezel_model_open_job(&job, engine, path, NULL, &err) == BEZEL_OK, "%s", err.text);
    ck_assert_int_eq(bezel_model_take(&m, job, &err), BEZEL_ERR_ARGUMENT);
    do {
        status = bezel_job_step(job, 0, &err);
        while (bezel_job_event(job, &event)) {
            ck_assert_uint_eq(event.type, BEZEL_EVENT_PROGRESS);
            ck_assert_double_ge(event.progress, last);
            last = event.progress;
            events++;
        }
    } while (status > 0 && status != BEZEL_DONE);
    ck_assert_msg(status == BEZEL_DONE, "%s", err.text);
    ck_assert_double_eq(last, 1.0);
    ck_assert_int_ge(events, 4);
    ck_assert_int_eq(bezel_model_take(&m, job, &err), BEZEL_OK);
    ck_assert_ptr_nonnull(m);
    bezel_model_free(m);
    ck_assert_int_eq(bezel_model_take(&m, job, &err), BEZEL_ERR_ARGUMENT);
    bezel_job_free(job);
}
END_TEST

START_TEST(a_load_job_runs_on_the_worker)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_model_options o;
    bezel_job *job = NULL;
    bezel_model *m = NULL;
    bezel_status status;
    bezel_event event = {.size = (uint32_t)sizeof event};
    bezel_model_options_init(&o);
    o.map = 0;
    model_maker_file(&maker, path);
    ck_assert_int_eq(bezel_model_open_job(&job, engine, path, &o, &err), BEZEL_OK);
    ck_assert_msg(bezel_job_start(job, &err) == BEZEL_OK, "%s", err.text);
    do {
        status = bezel_job_wait(job, 10000, &err);
        while (bezel_job_event(job, &event)) {
        }
    } while (status == BEZEL_MORE || status == BEZEL_TOKEN);
    ck_assert_msg(status == BEZEL_DONE, "%s", err.text);
    ck_assert_int_eq(bezel_model_take(&m, job, &err), BEZEL_OK);
    bezel_job_free(job);
    bezel_model_free(m);
}
END_TEST

START_TEST(a_load_job_can_be_cancelled_or_freed_after_every_unit)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_model_options o;
    bezel_model_options_init(&o);
    o.map = 0;
    o.check_weights = 1;
    model_maker_file(&maker, path);
    for (int units = 0; units < 8; units++) {
        bezel_job *job = NULL;
        bezel_model *m = NULL;
        ck_assert_int_eq(bezel_model_open_job(&job, engine, path, &o, &err), BEZEL_OK);
        for (int i = 0; i < units; i++)
            ck_assert_int_ge(bezel_job_step(job, 0, &err), 0);
        bezel_job_cancel(job);
        bezel_job_step(job, 0, &err); /* events first */
        ck_assert_int_eq(bezel_job_step(job, -1, &err), BEZEL_ERR_CANCELLED);
        ck_assert_int_eq(bezel_model_take(&m, job, &err), BEZEL_ERR_CANCELLED);
        bezel_job_free(job);
    }
}
END_TEST

START_TEST(a_failing_job_keeps_its_error)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_job *job = NULL;
    bezel_model *m = NULL;
    ck_assert_int_eq(bezel_model_open_job(&job, engine, "/no/such/model.gguf", NULL, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_job_step(job, -1, &err), BEZEL_ERR_MISSING);
    ck_assert_ptr_nonnull(strstr(err.text, "/no/such/model.gguf"));
    ck_assert_int_eq(bezel_model_take(&m, job, &err), BEZEL_ERR_MISSING);
    bezel_job_free(job);
}
END_TEST

/* --- Faults ------------------------------------------------------------------------------- */

typedef struct open_try {
    bezel_engine *engine;
    int map;
} open_try;

static bezel_status try_open(test_world *tw, void *ctx)
{
    const open_try *t = ctx;
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_model_options o;
    bezel_model *m = NULL;
    bezel_status status;
    (void)tw;
    bezel_model_options_init(&o);
    o.map = t->map;
    o.check_weights = 1;
    status = bezel_model_open(&m, t->engine, path, &o, &err);
    ck_assert_int_eq(m != NULL, status == BEZEL_OK);
    if (status < 0)
        ck_assert_int_eq(err.status, status);
    bezel_model_free(m);
    return status;
}

START_TEST(every_failing_allocation_of_open_is_an_error_without_leak)
{
    test_world tw;
    open_try t;
    test_world_init(&tw);
    maker.norm_dtype = BZ_DTYPE_BF16; /* with converted norms */
    model_maker_file(&maker, path);
    t.engine = test_engine_new(&tw, 1, BEZEL_ISA_SCALAR);
    t.map = _i;
    ck_assert_int_gt(test_world_sweep(&tw, try_open, &t, BEZEL_OK), 10);
    bezel_engine_free(t.engine);
    ck_assert(test_world_is_clean(&tw));
}
END_TEST

START_TEST(every_failing_file_call_of_open_is_that_error_without_leak)
{
    test_world tw;
    open_try t;
    long n;
    test_world_init(&tw);
    model_maker_file(&maker, path);
    t.engine = test_engine_new(&tw, 1, BEZEL_ISA_SCALAR);
    t.map = _i;
    for (n = 1;; n++) {
        bezel_status status;
        test_world_arm_file(&tw, n, BEZEL_ERR_IO);
        status = try_open(&tw, &t);
        ck_assert_int_eq(atomic_load(&tw.files), 0);
        ck_assert_int_eq(atomic_load(&tw.maps), 0);
        if (atomic_load(&tw.n_file_calls) < n) {
            ck_assert_int_eq(status, BEZEL_OK);
            break;
        }
        ck_assert_int_eq(status, BEZEL_ERR_IO);
    }
    ck_assert_int_gt(n, 5);
    bezel_engine_free(t.engine);
    ck_assert(test_world_is_clean(&tw));
}
END_TEST

/* --- Files that are none, or change ------------------------------------------------------- */

START_TEST(what_is_no_regular_file_is_refused_without_hanging)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_model *m = NULL;
    char folder[MODEL_MAKER_PATH], fifo[MODEL_MAKER_PATH + 8], loop[MODEL_MAKER_PATH + 8];
    model_maker_folder(folder);
    snprintf(fifo, sizeof fifo, "%s/fifo", folder);
    snprintf(loop, sizeof loop, "%s/loop", folder);
    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    ck_assert_int_eq(symlink(loop, loop), 0);
    ck_assert_int_eq(bezel_model_open(&m, engine, folder, NULL, &err), BEZEL_ERR_IO);
    ck_assert_int_eq(bezel_model_open(&m, engine, fifo, NULL, &err), BEZEL_ERR_IO);
    ck_assert_ptr_nonnull(strstr(err.text, "regular file"));
    ck_assert_int_eq(bezel_model_open(&m, engine, "/dev/zero", NULL, &err), BEZEL_ERR_IO);
    ck_assert_int_lt(bezel_model_open(&m, engine, loop, NULL, &err), 0);
    ck_assert_int_eq(bezel_model_open(&m, engine, "/no/such/file.gguf", NULL, &err), BEZEL_ERR_MISSING);
    ck_assert_int_lt(bezel_model_open(&m, engine, "/proc/self/mem", NULL, &err), 0);
    unlink(fifo);
    unlink(loop);
    rmdir(folder);
}
END_TEST

START_TEST(a_file_with_a_huge_hole_is_refused_or_mapped_without_reading_the_hole)
{
    static const uint8_t empty[24] = {'G', 'G', 'U', 'F', 3};
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_model *m = NULL;
    test_world tw;
    bezel_engine *counting;
    int64_t before;
    test_world_init(&tw);
    counting = test_engine_new(&tw, 1, BEZEL_ISA_SCALAR);
    before = atomic_load(&tw.bytes);
    model_maker_put(path, empty, sizeof empty);
    if (truncate(path, (off_t)1 << 40) == 0) { /* some file systems cannot */
        ck_assert_int_eq(bezel_model_open(&m, counting, path, NULL, &err), BEZEL_ERR_MISSING);
        ck_assert_int_lt(atomic_load(&tw.peak_bytes) - before, 1 << 20);
    }
    unlink(path);
    model_maker_file(&maker, path);
    if (truncate(path, (off_t)1 << 40) == 0) {
        ck_assert_msg(bezel_model_open(&m, counting, path, NULL, &err) == BEZEL_OK, "%s", err.text);
        ck_assert_uint_eq(m->notes.count, 1); /* the bytes behind the last tensor */
        bezel_model_free(m);
        ck_assert_int_lt(atomic_load(&tw.peak_bytes) - before, 2 << 20);
    }
    bezel_engine_free(counting);
    ck_assert(test_world_is_clean(&tw));
}
END_TEST

/* Steps a load until its file was read once, changes the file, steps on. */
static void expect_change_noticed(void (*change)(const char *file))
{
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_job *job = NULL;
    bezel_status status;
    model_maker_file(&maker, path);
    ck_assert_int_eq(bezel_model_open_job(&job, engine, path, NULL, &err), BEZEL_OK);
    ck_assert_int_ge(bezel_job_step(job, 0, &err), 0);
    change(path);
    do {
        bezel_event event = {.size = (uint32_t)sizeof event};
        while (bezel_job_event(job, &event)) {
        }
        status = bezel_job_step(job, 0, &err);
    } while (status > 0 && status != BEZEL_DONE);
    ck_assert_msg(status == BEZEL_ERR_CHANGED, "%s %s", bezel_status_name(status), err.text);
    ck_assert_uint_gt(strlen(err.hint), 0);
    bezel_job_free(job);
}

static void change_append(const char *file)
{
    FILE *f = fopen(file, "ab");
    ck_assert_ptr_nonnull(f);
    fputc(0, f);
    fclose(f);
}

static void change_replace(const char *file)
{
    char other[MODEL_MAKER_PATH];
    model_maker_file(&maker, other);
    ck_assert_int_eq(rename(other, file), 0);
}

static void change_remove(const char *file)
{
    unlink(file);
}

static void change_touch(const char *file)
{
    const struct timespec times[2] = {{1, 0}, {1, 0}};
    ck_assert_int_eq(utimensat(AT_FDCWD, file, times, 0), 0);
}

START_TEST(a_file_that_changes_while_it_is_loaded_is_noticed)
{
    expect_change_noticed(change_append);
    expect_change_noticed(change_replace);
    expect_change_noticed(change_remove);
    expect_change_noticed(change_touch);
}
END_TEST

START_TEST(a_file_that_shrinks_while_it_is_read_is_noticed)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_model_options o;
    bezel_job *job = NULL;
    bezel_status status;
    struct stat st;
    bezel_model_options_init(&o);
    o.map = 0;
    model_maker_file(&maker, path);
    ck_assert_int_eq(bezel_model_open_job(&job, engine, path, &o, &err), BEZEL_OK);
    ck_assert_int_ge(bezel_job_step(job, 0, &err), 0);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(truncate(path, st.st_size - 100), 0);
    do {
        bezel_event event = {.size = (uint32_t)sizeof event};
        while (bezel_job_event(job, &event)) {
        }
        status = bezel_job_step(job, 0, &err);
    } while (status > 0 && status != BEZEL_DONE);
    ck_assert_int_eq(status, BEZEL_ERR_CHANGED);
    bezel_job_free(job);
}
END_TEST

START_TEST(a_cut_file_is_truncated_wherever_it_is_cut)
{
    size_t size = 0;
    uint8_t *bytes = model_maker_bytes(&maker, &size);
    bezel_model_options o;
    bezel_model_options_init(&o);
    o.read = read_bytes;
    o.read_ud = bytes;
    for (size_t n = 1; n < size; n += n < 4096 ? 1 : 1021) {
        bezel_error err = BEZEL_ERROR_INIT;
        bezel_model *m = NULL;
        bezel_status status;
        o.read_size = n;
        status = bezel_model_open(&m, engine, "cut", &o, &err);
        ck_assert_msg(status == BEZEL_ERR_TRUNCATED, "cut at %zu of %zu: %s %s", n, size, bezel_status_name(status), err.text);
    }
    free(bytes);
}
END_TEST

/* One to four random changes a round; a longer run of the same found nothing in 380,000 rounds. */
START_TEST(a_file_with_random_changes_opens_or_fails_cleanly)
{
    test_world tw;
    bezel_model_options o;
    size_t size = 0, header = 0;
    uint8_t *good, *bytes;
    bezel_engine *counting;
    bz_rng rng;
    int64_t before;
    test_world_init(&tw);
    counting = test_engine_new(&tw, 1, BEZEL_ISA_SCALAR);
    before = atomic_load(&tw.bytes);
    maker.layers = 1;
    maker.chat_template = MODEL_MAKER_TEMPLATE;
    good = model_maker_bytes(&maker, &size);
    bytes = malloc(size);
    ck_assert_ptr_nonnull(bytes);
    while (header + 17 < size && memcmp(good + header, "token_embd.weight", 17) != 0)
        header++;
    bezel_model_options_init(&o);
    o.read = read_bytes;
    o.read_ud = bytes;
    o.read_size = size;
    o.check_weights = 1;
    bz_rng_seed(&rng, 77);
    for (int round = 0; round < 2000; round++) {
        bezel_error err = BEZEL_ERROR_INIT;
        bezel_model *m = NULL;
        bezel_status status;
        memcpy(bytes, good, size);
        for (uint64_t n = 1 + bz_rng_next(&rng) % 4; n > 0; n--) {
            size_t at = (size_t)(bz_rng_next(&rng) % (bz_rng_next(&rng) % 2 ? 1500 : header + 800));
            uint64_t r = bz_rng_next(&rng);
            bytes[at] = (uint8_t)(r % 3 == 0 ? 0xFF : r % 3 == 1 ? bytes[at] ^ 1u << (r >> 8) % 8 : r >> 8);
        }
        status = bezel_model_open(&m, counting, "changed", &o, &err);
        ck_assert_msg(status <= 0 && status != BEZEL_ERR_INTERNAL && status != BEZEL_ERR_MEMORY, "%s", err.text);
        bezel_model_free(m);
        ck_assert_int_eq(atomic_load(&tw.bytes), before);
    }
    free(good);
    free(bytes);
    bezel_engine_free(counting);
}
END_TEST

/* --- Tensors ------------------------------------------------------------------------------ */

START_TEST(each_tensor_missing_is_named)
{
    const char *name;
    for (uint32_t i = 0; (name = model_maker_tensor(&maker, i)) != NULL; i++) {
        char copy[64];
        snprintf(copy, sizeof copy, "%s", name);
        maker.spoil = copy;
        maker.spoil_how = MODEL_MAKER_LEAVE_OUT;
        expect_failure(BEZEL_ERR_MISSING, copy, copy);
    }
}
END_TEST

START_TEST(each_tensor_of_a_wrong_shape_is_named_with_both_shapes)
{
    const char *name;
    for (uint32_t i = 0; (name = model_maker_tensor(&maker, i)) != NULL; i++) {
        char copy[64];
        snprintf(copy, sizeof copy, "%s", name);
        maker.spoil = copy;
        for (int how = MODEL_MAKER_SHORT; how <= MODEL_MAKER_LONG; how++) {
            maker.spoil_how = how;
            expect_failure(BEZEL_ERR_SHAPE, copy, copy);
        }
        if (strstr(copy, "attn_q.weight") || strstr(copy, "attn_output.weight"))
            continue; /* square: exchanged dimensions are the same */
        maker.spoil_how = MODEL_MAKER_TRANSPOSE;
        maker.embedding_dtype = BZ_DTYPE_F32; /* so that the exchanged rows are still whole blocks */
        expect_failure(BEZEL_ERR_SHAPE, copy, copy);
        maker.embedding_dtype = BZ_DTYPE_Q8_0;
    }
}
END_TEST

START_TEST(each_tensor_of_a_type_without_kernel_is_named)
{
    const char *name;
    for (uint32_t i = 0; (name = model_maker_tensor(&maker, i)) != NULL; i++) {
        char copy[64];
        snprintf(copy, sizeof copy, "%s", name);
        maker.spoil = copy;
        maker.spoil_how = MODEL_MAKER_AS_I32;
        expect_failure(BEZEL_ERR_UNSUPPORTED, copy, copy);
    }
}
END_TEST

static const uint32_t all_dtypes[] = {BZ_DTYPE_F32,  BZ_DTYPE_F16,  BZ_DTYPE_BF16, BZ_DTYPE_Q4_0, BZ_DTYPE_Q4_1,  BZ_DTYPE_Q5_0,
                                      BZ_DTYPE_Q5_1, BZ_DTYPE_Q8_0, BZ_DTYPE_Q2_K, BZ_DTYPE_Q3_K, BZ_DTYPE_Q4_K,  BZ_DTYPE_Q5_K,
                                      BZ_DTYPE_Q6_K, BZ_DTYPE_IQ4_NL, BZ_DTYPE_IQ4_XS};

START_TEST(a_model_of_any_type_opens_and_its_bad_scales_are_found_when_asked)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_model_options o;
    bezel_model *m = NULL;
    bezel_model_options_init(&o);
    o.check_weights = 1;
    maker.layers = 1;
    maker.D = 256;
    maker.F = 256;
    maker.H = 8;
    maker.matrix_dtype = all_dtypes[_i];
    ck_assert_msg(open_made(&m, &o, &err) == BEZEL_OK, "%s", err.text);
    ck_assert_uint_eq(m->weights.layers[0].down.dtype, all_dtypes[_i]);
    bezel_model_free(m);
    maker.spoil = "blk.0.ffn_down.weight";
    maker.spoil_how = MODEL_MAKER_BAD_SCALE;
    ck_assert_int_eq(open_made(&m, &o, &err), BEZEL_ERR_NUMERIC);
    ck_assert_ptr_nonnull(strstr(err.text, "\"blk.0.ffn_down.weight\", row 255"));
    o.check_weights = 0;
    ck_assert_int_eq(open_made(&m, &o, &err), BEZEL_OK);
    bezel_model_free(m);
}
END_TEST

/* --- Description -------------------------------------------------------------------------- */

START_TEST(the_description_names_sizes_types_and_remarks)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_model *m = NULL;
    bezel_tree *tree = NULL;
    bezel_value *d = NULL;
    const bezel_value *types;
    maker.name = "Made It";
    ck_assert_int_eq(open_made(&m, NULL, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_tree_new(&tree, engine, &err), BEZEL_OK);
    ck_assert_msg(bezel_model_describe(&d, tree, m, &err) == BEZEL_OK, "%s", err.text);
    ck_assert_str_eq(bezel_value_text(bezel_value_get(d, "architecture"), NULL), "gemma3");
    ck_assert_str_eq(bezel_value_text(bezel_value_get(d, "kind"), NULL), "pretrained");
    ck_assert_int_eq(bezel_value_integer(bezel_value_get(d, "layers")), 7);
    ck_assert_int_eq(bezel_value_integer(bezel_value_get(d, "global_layers")), 1);
    ck_assert_int_eq(bezel_value_integer(bezel_value_get(d, "width")), 64);
    ck_assert_int_eq(bezel_value_integer(bezel_value_get(d, "n_tensors")), 2 + 13 * 7);
    types = bezel_value_get(d, "tensors");
    ck_assert_int_eq(bezel_value_integer(bezel_value_get(bezel_value_get(types, "F32"), "count")), 1 + 6 * 7);
    ck_assert_int_eq(bezel_value_integer(bezel_value_get(bezel_value_get(types, "Q8_0"), "count")), 1 + 7 * 7);
    ck_assert_int_eq(bezel_value_integer(bezel_value_get(bezel_value_get(d, "special_ids"), "bos")), 2);
    ck_assert_uint_eq(bezel_value_count(bezel_value_get(d, "warnings")), 1);
    bezel_tree_free(tree);
    bezel_model_free(m);
}
END_TEST

START_TEST(a_plan_counts_memory_without_loading_and_grows_with_the_context)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_tree *tree = NULL;
    bezel_value *small = NULL, *large = NULL;
    model_maker_file(&maker, path);
    ck_assert_int_eq(bezel_tree_new(&tree, engine, &err), BEZEL_OK);
    ck_assert_msg(bezel_model_plan(&small, tree, engine, path, 600, &err) == BEZEL_OK, "%s", err.text);
    ck_assert_msg(bezel_model_plan(&large, tree, engine, path, 1000, &err) == BEZEL_OK, "%s", err.text);
    /* from 600 to 1000 only the global layer grows: K and V, 400 positions, 32 floats */
    ck_assert_int_eq(bezel_value_integer(bezel_value_get(large, "kv")) - bezel_value_integer(bezel_value_get(small, "kv")),
                     2 * 400 * 32 * 4);
    ck_assert_int_eq(bezel_value_integer(bezel_value_get(small, "total")),
                     bezel_value_integer(bezel_value_get(small, "weights")) +
                         bezel_value_integer(bezel_value_get(small, "kv")) +
                         bezel_value_integer(bezel_value_get(small, "scratch")));
    ck_assert_int_eq(bezel_model_plan(&small, tree, engine, "/no/such", 600, &err), BEZEL_ERR_MISSING);
    bezel_tree_free(tree);
}
END_TEST

static bezel_status try_describe(test_world *tw, void *ctx)
{
    bezel_model *m = ctx;
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_tree *tree = NULL;
    bezel_value *d = NULL;
    bezel_status status = bezel_tree_new(&tree, bezel_model_engine(m), &err);
    (void)tw;
    if (status == BEZEL_OK)
        status = bezel_model_describe(&d, tree, m, &err);
    if (status == BEZEL_OK)
        status = bezel_model_plan(&d, tree, bezel_model_engine(m), path, 100, &err);
    ck_assert_int_eq(d != NULL && status == BEZEL_OK, status == BEZEL_OK);
    bezel_tree_free(tree);
    return status;
}

START_TEST(every_failing_allocation_of_describe_and_plan_is_an_error_without_leak)
{
    test_world tw;
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_engine *counting;
    bezel_model *m = NULL;
    test_world_init(&tw);
    model_maker_file(&maker, path);
    counting = test_engine_new(&tw, 1, BEZEL_ISA_SCALAR);
    ck_assert_int_eq(bezel_model_open(&m, counting, path, NULL, &err), BEZEL_OK);
    ck_assert_int_gt(test_world_sweep(&tw, try_describe, m, BEZEL_OK), 3);
    bezel_model_free(m);
    bezel_engine_free(counting);
    ck_assert(test_world_is_clean(&tw));
}
END_TEST

static bezel_status try_job(test_world *tw, void *ctx)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_job *job = NULL;
    bezel_model *m = NULL;
    bezel_status status = bezel_model_open_job(&job, ctx, path, NULL, &err);
    (void)tw;
    if (status != BEZEL_OK)
        return status;
    do {
        bezel_event event = {.size = (uint32_t)sizeof event};
        status = bezel_job_step(job, 0, &err);
        while (bezel_job_event(job, &event)) {
        }
    } while (status > 0 && status != BEZEL_DONE);
    if (status == BEZEL_DONE)
        status = bezel_model_take(&m, job, &err);
    bezel_job_free(job);
    bezel_model_free(m);
    return status;
}

START_TEST(every_failing_allocation_of_a_load_job_is_an_error_without_leak)
{
    test_world tw;
    bezel_engine *counting;
    test_world_init(&tw);
    model_maker_file(&maker, path);
    counting = test_engine_new(&tw, 1, BEZEL_ISA_SCALAR);
    ck_assert_int_gt(test_world_sweep(&tw, try_job, counting, BEZEL_OK), 10);
    bezel_engine_free(counting);
    ck_assert(test_world_is_clean(&tw));
}
END_TEST

Suite *model_suite(void)
{
    Suite *s = suite_create("model");
    TCase *t = tcase_create("open");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_made_model_opens_and_says_what_it_is);
    tcase_add_test(t, a_name_is_taken_from_the_file_name_when_the_file_has_none);
    tcase_add_test(t, a_chat_template_makes_an_instruct_model_unless_overridden);
    tcase_add_test(t, a_name_that_says_instruct_without_a_template_only_makes_a_remark);
    tcase_add_test(t, mapped_read_and_host_delivered_weights_are_the_same);
    tcase_add_test(t, two_files_have_two_fingerprints);
    tcase_add_test(t, wrong_options_are_refused);
    tcase_add_test(t, a_load_job_reports_rising_progress_and_gives_its_model_once);
    tcase_add_test(t, a_load_job_runs_on_the_worker);
    tcase_add_test(t, a_load_job_can_be_cancelled_or_freed_after_every_unit);
    tcase_add_test(t, a_failing_job_keeps_its_error);
    tcase_add_loop_test(t, every_failing_allocation_of_open_is_an_error_without_leak, 0, 2);
    tcase_add_loop_test(t, every_failing_file_call_of_open_is_that_error_without_leak, 0, 2);
    tcase_add_test(t, what_is_no_regular_file_is_refused_without_hanging);
    tcase_add_test(t, a_file_with_a_huge_hole_is_refused_or_mapped_without_reading_the_hole);
    tcase_add_test(t, a_file_that_changes_while_it_is_loaded_is_noticed);
    tcase_add_test(t, a_file_that_shrinks_while_it_is_read_is_noticed);
    tcase_add_test(t, a_cut_file_is_truncated_wherever_it_is_cut);
    tcase_add_test(t, a_file_with_random_changes_opens_or_fails_cleanly);
    tcase_add_test(t, each_tensor_missing_is_named);
    tcase_add_test(t, each_tensor_of_a_wrong_shape_is_named_with_both_shapes);
    tcase_add_test(t, each_tensor_of_a_type_without_kernel_is_named);
    tcase_add_loop_test(t, a_model_of_any_type_opens_and_its_bad_scales_are_found_when_asked, 0,
                        (int)(sizeof all_dtypes / sizeof all_dtypes[0]));
    tcase_add_test(t, every_failing_allocation_of_describe_and_plan_is_an_error_without_leak);
    tcase_add_test(t, every_failing_allocation_of_a_load_job_is_an_error_without_leak);
    tcase_add_test(t, the_description_names_sizes_types_and_remarks);
    tcase_add_test(t, a_plan_counts_memory_without_loading_and_grows_with_the_context);
    suite_add_tcase(s, t);
    return s;
}
