/* SPDX-License-Identifier: MIT */
/* The engine: options, world, memory count, instruction sets, description. */
#include "base/alloc.h"
#include "compute/engine_impl.h"
#include "support/test_engine.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

START_TEST(an_engine_without_options_works_and_leaves_nothing)
{
    bezel_engine *engine = NULL;
    uint64_t now = 0;
    uint64_t peak = 0;
    ck_assert_int_eq(bezel_engine_new(&engine, NULL, NULL), BEZEL_OK);
    ck_assert_uint_ge(bezel_engine_threads(engine), 1);
    ck_assert_uint_le(bezel_engine_threads(engine), 8);
    ck_assert_uint_ne(bezel_engine_isa(engine), BEZEL_ISA_AUTO);
    bezel_engine_memory(engine, &now, &peak);
    ck_assert(now > 0 && peak >= now);
    bezel_engine_memory(engine, NULL, NULL);
    bezel_engine_free(engine);
    bezel_engine_free(NULL);
}
END_TEST

START_TEST(memory_is_counted_to_the_byte_with_its_peak)
{
    test_world tw;
    uint64_t before = 0;
    uint64_t now = 0;
    uint64_t peak = 0;
    test_world_init(&tw);
    bezel_engine *engine = test_engine_new(&tw, 1, BEZEL_ISA_SCALAR);
    const bezel_world *w = bezel_engine_world(engine);
    bezel_engine_memory(engine, &before, NULL);
    void *p = bz_alloc(w, 1000000);
    p = bz_realloc(w, p, 500000);
    bezel_engine_memory(engine, &now, &peak);
    ck_assert(now >= before + 500000 && now < before + 500100);
    ck_assert(peak >= before + 1000000 && peak < before + 1000100);
    test_world_arm(&tw, 1, 1);
    ck_assert_ptr_null(bz_alloc(w, 100));
    ck_assert_ptr_null(bz_realloc(w, p, 600000));
    test_world_arm(&tw, 0, 0);
    bz_free(w, p);
    bezel_engine_memory(engine, &now, NULL);
    ck_assert_uint_eq(now, before);
    bezel_engine_free(engine);
    ck_assert(test_world_is_clean(&tw));
}
END_TEST

static int64_t own_clock(void *ud)
{
    return *(int64_t *)ud;
}

START_TEST(missing_members_of_a_world_are_the_systems)
{
    bezel_engine_options o;
    bezel_engine *engine = NULL;
    bezel_world w;
    int64_t now = 42;
    char bytes[16] = {0};
    memset(&w, 0, sizeof w);
    w.size = sizeof w;
    w.ud = &now;
    w.monotonic_ns = own_clock;
    bezel_engine_options_init(&o);
    o.world = &w;
    ck_assert_int_eq(bezel_engine_new(&engine, &o, NULL), BEZEL_OK);
    now = 43;
    const bezel_world *all = bezel_engine_world(engine);
    ck_assert_int_eq(all->monotonic_ns(all->ud), 43);
    ck_assert_int_gt(all->wall_ms(all->ud), INT64_C(1500000000000));
    ck_assert_int_eq(all->random(all->ud, bytes, sizeof bytes), BEZEL_OK);
    ck_assert(all->allocate && all->file_open && all->file_info && all->file_read && all->file_write && all->file_map &&
              all->file_unmap && all->file_sync && all->file_close && all->file_rename && all->file_remove &&
              all->thread_start && all->thread_join);
    bezel_engine_free(engine);
}
END_TEST

START_TEST(every_file_function_reaches_the_hosts_world)
{
    test_world tw;
    bezel_file *file = NULL;
    bezel_file_info info;
    test_world_init(&tw);
    bezel_engine *engine = test_engine_new(&tw, 1, BEZEL_ISA_SCALAR);
    const bezel_world *w = bezel_engine_world(engine);
    tw.file_status = BEZEL_ERR_CHANGED;
    atomic_store(&tw.fail_file_call, 1);
    ck_assert_int_eq(w->file_open(w->ud, &file, "x", BEZEL_FILE_READ), BEZEL_ERR_CHANGED);
    test_world_arm_file(&tw, 1, BEZEL_ERR_DENIED);
    ck_assert_int_eq(w->file_info(w->ud, NULL, &info), BEZEL_ERR_DENIED);
    test_world_arm_file(&tw, 1, BEZEL_ERR_DENIED);
    ck_assert_int_eq(w->file_read(w->ud, NULL, 0, NULL, 1), BEZEL_ERR_DENIED);
    test_world_arm_file(&tw, 1, BEZEL_ERR_DENIED);
    ck_assert_int_eq(w->file_write(w->ud, NULL, 0, NULL, 1), BEZEL_ERR_DENIED);
    test_world_arm_file(&tw, 1, BEZEL_ERR_DENIED);
    ck_assert_int_eq(w->file_map(w->ud, NULL, 1, NULL), BEZEL_ERR_DENIED);
    test_world_arm_file(&tw, 1, BEZEL_ERR_DENIED);
    ck_assert_int_eq(w->file_sync(w->ud, NULL), BEZEL_ERR_DENIED);
    test_world_arm_file(&tw, 1, BEZEL_ERR_DENIED);
    ck_assert_int_eq(w->file_rename(w->ud, "a", "b"), BEZEL_ERR_DENIED);
    test_world_arm_file(&tw, 1, BEZEL_ERR_DENIED);
    ck_assert_int_eq(w->file_remove(w->ud, "a"), BEZEL_ERR_DENIED);
    bezel_engine_free(engine);
    ck_assert(test_world_is_clean(&tw));
}
END_TEST

START_TEST(wrong_options_are_named)
{
    bezel_engine_options o;
    bezel_engine *engine = NULL;
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_world w = {.size = 0};
    ck_assert_int_eq(bezel_engine_new(NULL, NULL, &err), BEZEL_ERR_ARGUMENT);
    bezel_engine_options_init(&o);
    o.threads = 257;
    ck_assert_int_eq(bezel_engine_new(&engine, &o, &err), BEZEL_ERR_RANGE);
    ck_assert_str_eq(err.place, "options.threads");
    bezel_engine_options_init(&o);
    o.isa = 17;
    ck_assert_int_eq(bezel_engine_new(&engine, &o, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_str_eq(err.place, "options.isa");
    bezel_engine_options_init(&o);
    o.log_level = 9;
    ck_assert_int_eq(bezel_engine_new(&engine, &o, &err), BEZEL_ERR_RANGE);
    bezel_engine_options_init(&o);
    o.world = &w;
    ck_assert_int_eq(bezel_engine_new(&engine, &o, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_str_eq(err.place, "options.world");
    o.size = 0;
    ck_assert_int_eq(bezel_engine_new(&engine, &o, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_ptr_null(engine);
}
END_TEST

START_TEST(affinity_is_a_list_of_processors_that_may_be_used)
{
    static const char *const wrong[] = {"x", "0-", "-0", "0,,1", "0,", "1-0", "0 ", "100000", "0-4000000000", "99999999999999999999"};
    bezel_engine_options o;
    bezel_engine *engine = NULL;
    bezel_error err = BEZEL_ERROR_INIT;
    char list[32];
    unsigned first = 0;
    while (!bz_os_may_use(first))
        first++;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        bezel_engine_options_init(&o);
        o.affinity = wrong[i];
        ck_assert_int_eq(bezel_engine_new(&engine, &o, &err), BEZEL_ERR_RANGE);
        ck_assert_str_eq(err.place, "options.affinity");
    }
    bezel_engine_options_init(&o);
    snprintf(list, sizeof list, "%u,%u-%u", first, first, first);
    o.affinity = list;
    ck_assert_msg(bezel_engine_new(&engine, &o, &err) == BEZEL_OK, "%s", err.text);
    ck_assert_uint_eq(bezel_engine_threads(engine), 2); /* one an entry */
    ck_assert_uint_eq(engine->n_cpus, 2);
    bezel_engine_free(engine);
    o.threads = 3;
    ck_assert_int_eq(bezel_engine_new(&engine, &o, &err), BEZEL_OK);
    ck_assert_uint_eq(bezel_engine_threads(engine), 3);
    bezel_engine_free(engine);
}
END_TEST

START_TEST(each_level_of_the_machine_can_be_forced_and_others_are_refused)
{
    for (uint32_t isa = BEZEL_ISA_SCALAR; isa <= BEZEL_ISA_NEON; isa++) {
        bezel_engine *engine = NULL;
        bezel_error err = BEZEL_ERROR_INIT;
        bezel_status status = test_engine_try(&engine, NULL, 1, isa, &err);
        ck_assert_uint_eq(bezel_isa_from_name(bezel_isa_name(isa)), isa);
        if (bz_kernel_has(isa)) {
            ck_assert_int_eq(status, BEZEL_OK);
            ck_assert_uint_eq(bezel_engine_isa(engine), isa);
        } else {
            ck_assert_int_eq(status, BEZEL_ERR_UNSUPPORTED);
            ck_assert_ptr_nonnull(strstr(err.text, bezel_isa_name(isa)));
            ck_assert_ptr_nonnull(strstr(err.hint, bezel_isa_name(bz_kernel_best_isa())));
        }
        bezel_engine_free(engine);
    }
    ck_assert_uint_eq(bezel_isa_from_name("auto"), BEZEL_ISA_AUTO);
    ck_assert_uint_eq(bezel_isa_from_name("sse9"), UINT32_MAX);
    ck_assert_uint_eq(bezel_isa_from_name(NULL), UINT32_MAX);
    ck_assert_str_eq(bezel_isa_name(99), "unknown");
}
END_TEST

START_TEST(the_environment_chooses_the_level_only_for_auto)
{
    bezel_engine *engine = NULL;
    bezel_error err = BEZEL_ERROR_INIT;
    const char *value = getenv("BEZEL_ISA");
    char before[32] = "";
    if (value != NULL)
        strncpy(before, value, sizeof before - 1);
    setenv("BEZEL_ISA", "scalar", 1);
    engine = test_engine_new(NULL, 1, BEZEL_ISA_AUTO);
    ck_assert_uint_eq(bezel_engine_isa(engine), BEZEL_ISA_SCALAR);
    bezel_engine_free(engine);
    engine = NULL;
    setenv("BEZEL_ISA", "sse9", 1);
    ck_assert_int_eq(test_engine_try(&engine, NULL, 1, BEZEL_ISA_AUTO, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_str_eq(err.place, "BEZEL_ISA");
    ck_assert_ptr_nonnull(strstr(err.text, "sse9"));
    ck_assert_int_eq(test_engine_try(&engine, NULL, 1, BEZEL_ISA_SCALAR, &err), BEZEL_OK);
    bezel_engine_free(engine);
    setenv("BEZEL_ISA", "", 1);
    engine = test_engine_new(NULL, 1, BEZEL_ISA_AUTO);
    ck_assert_uint_eq(bezel_engine_isa(engine), bz_kernel_best_isa());
    bezel_engine_free(engine);
    if (value != NULL)
        setenv("BEZEL_ISA", before, 1);
    else
        unsetenv("BEZEL_ISA");
}
END_TEST

static void engine_log(void *ud, uint32_t level, const char *origin, const char *text)
{
    (void)origin;
    if (level == BEZEL_LOG_INFO && strstr(text, bezel_version()) != NULL)
        ++*(int *)ud;
}

START_TEST(creating_an_engine_logs_one_line_that_says_what_it_is)
{
    bezel_engine_options o;
    bezel_engine *engine = NULL;
    int lines = 0;
    bezel_engine_options_init(&o);
    o.log = engine_log;
    o.log_ud = &lines;
    o.log_level = BEZEL_LOG_INFO;
    ck_assert_int_eq(bezel_engine_new(&engine, &o, NULL), BEZEL_OK);
    ck_assert_int_eq(lines, 1);
    bezel_engine_free(engine);
}
END_TEST

START_TEST(the_description_has_what_doctor_shows)
{
    test_world tw;
    bezel_tree *tree = NULL;
    bezel_value *v = NULL;
    char *text = NULL;
    size_t size = 0;
    bezel_error err = BEZEL_ERROR_INIT;
    test_world_init(&tw);
    bezel_engine *engine = test_engine_new(&tw, 3, BEZEL_ISA_SCALAR);
    ck_assert_int_eq(bezel_tree_new(&tree, engine, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_engine_describe(&v, tree, engine, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_value_integer(bezel_value_get(v, "threads")), 3);
    ck_assert_str_eq(bezel_value_text(bezel_value_get(v, "isa"), NULL), "scalar");
    ck_assert_str_eq(bezel_value_text(bezel_value_at(bezel_value_get(v, "isa_levels"), 0), NULL), "scalar");
    ck_assert_int_ge(bezel_value_integer(bezel_value_get(v, "cores")), 1);
    ck_assert_int_ge(bezel_value_integer(bezel_value_get(v, "page_size")), 4096);
    ck_assert_uint_eq(bezel_value_type(bezel_value_get(bezel_value_get(v, "blas"), "ok")), BEZEL_BOOL);
    ck_assert_int_gt(bezel_value_integer(bezel_value_get(v, "resident_bytes")), 100000);
    ck_assert_int_eq(bezel_json_write(&text, &size, engine, v, 2, &err), BEZEL_OK);
    ck_assert_uint_eq(strlen(text), size);
    bezel_text_free(engine, text);
    bezel_text_free(engine, NULL);
    ck_assert_int_eq(bezel_json_write(NULL, NULL, engine, v, 0, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_int_eq(bezel_json_write(&text, NULL, NULL, v, 0, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_int_eq(bezel_engine_describe(&v, NULL, engine, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_int_eq(bezel_tree_new(&tree, NULL, &err), BEZEL_ERR_ARGUMENT);
    bezel_tree_free(tree);
    bezel_engine_free(engine);
    ck_assert(test_world_is_clean(&tw));
}
END_TEST

static bezel_status engine_try(test_world *tw, void *ctx)
{
    bezel_engine *engine = NULL;
    bezel_tree *tree = NULL;
    bezel_value *v = NULL;
    char *text = NULL;
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_status status = test_engine_try(&engine, tw, 2, BEZEL_ISA_SCALAR, &err);
    (void)ctx;
    if (status == BEZEL_OK)
        status = bezel_tree_new(&tree, engine, &err);
    if (status == BEZEL_OK)
        status = bezel_engine_describe(&v, tree, engine, &err);
    if (status == BEZEL_OK)
        status = bezel_json_write(&text, NULL, engine, v, 0, &err);
    ck_assert_int_eq(err.status, status);
    bezel_text_free(engine, text);
    bezel_tree_free(tree);
    bezel_engine_free(engine);
    return status;
}

START_TEST(a_failing_allocation_is_told_and_leaks_nothing)
{
    test_world tw;
    test_world_init(&tw);
    ck_assert_int_gt(test_world_sweep(&tw, engine_try, NULL, BEZEL_OK), 12);
}
END_TEST

Suite *engine_suite(void)
{
    Suite *s = suite_create("engine");
    TCase *t = tcase_create("engine");
    tcase_add_test(t, an_engine_without_options_works_and_leaves_nothing);
    tcase_add_test(t, memory_is_counted_to_the_byte_with_its_peak);
    tcase_add_test(t, missing_members_of_a_world_are_the_systems);
    tcase_add_test(t, every_file_function_reaches_the_hosts_world);
    tcase_add_test(t, wrong_options_are_named);
    tcase_add_test(t, affinity_is_a_list_of_processors_that_may_be_used);
    tcase_add_test(t, each_level_of_the_machine_can_be_forced_and_others_are_refused);
    tcase_add_test(t, the_environment_chooses_the_level_only_for_auto);
    tcase_add_test(t, creating_an_engine_logs_one_line_that_says_what_it_is);
    tcase_add_test(t, the_description_has_what_doctor_shows);
    tcase_add_test(t, a_failing_allocation_is_told_and_leaks_nothing);
    suite_add_tcase(s, t);
    return s;
}
