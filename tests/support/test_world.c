/* SPDX-License-Identifier: MIT */
/* The system's world with faults that a test chooses. */
#include "support/test_world.h"

#include <check.h>
#include <string.h>

static void *tw_allocate(void *ud, void *ptr, size_t old_size, size_t new_size)
{
    test_world *tw = ud;
    void *block;
    if (new_size != 0) {
        long n = atomic_fetch_add(&tw->n_allocations, 1) + 1;
        long fail = atomic_load(&tw->fail_allocation);
        if (fail != 0 && (n == fail || (n > fail && atomic_load(&tw->fail_forever)))) {
            atomic_fetch_add(&tw->n_failed, 1);
            return NULL;
        }
    }
    block = tw->system.allocate(tw->system.ud, ptr, old_size, new_size);
    if (block != NULL || new_size == 0) {
        int64_t now = atomic_fetch_add(&tw->bytes, (int64_t)new_size - (int64_t)old_size) + (int64_t)new_size -
                      (int64_t)old_size;
        if (now > atomic_load(&tw->peak_bytes))
            atomic_store(&tw->peak_bytes, now);
        atomic_fetch_add(&tw->blocks, (new_size != 0) - (ptr != NULL));
    }
    return block;
}

static int64_t tw_monotonic_ns(void *ud)
{
    test_world *tw = ud;
    if (atomic_load(&tw->is_fake))
        return atomic_fetch_add(&tw->now_ns, atomic_load(&tw->step_ns));
    return tw->system.monotonic_ns(tw->system.ud);
}

static int64_t tw_wall_ms(void *ud)
{
    test_world *tw = ud;
    return atomic_load(&tw->is_fake) ? atomic_load(&tw->wall_now_ms) : tw->system.wall_ms(tw->system.ud);
}

static bezel_status tw_random(void *ud, void *buffer, size_t size)
{
    test_world *tw = ud;
    unsigned char *bytes = buffer;
    while (atomic_flag_test_and_set(&tw->rng_busy))
        continue;
    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)(bz_rng_next(&tw->rng) >> 56);
    atomic_flag_clear(&tw->rng_busy);
    return tw->random_status;
}

/* BEZEL_OK, or the status with which this file call has to fail. */
static bezel_status tw_file_fault(test_world *tw)
{
    long n = atomic_fetch_add(&tw->n_file_calls, 1) + 1;
    return n == atomic_load(&tw->fail_file_call) ? tw->file_status : BEZEL_OK;
}

static bezel_status tw_file_open(void *ud, bezel_file **out, const char *path, uint32_t mode)
{
    test_world *tw = ud;
    bezel_status status = tw_file_fault(tw);
    if (status == BEZEL_OK)
        status = tw->system.file_open(tw->system.ud, out, path, mode);
    if (status == BEZEL_OK)
        atomic_fetch_add(&tw->files, 1);
    return status;
}

static bezel_status tw_file_info(void *ud, bezel_file *file, bezel_file_info *out)
{
    test_world *tw = ud;
    bezel_status status = tw_file_fault(tw);
    return status != BEZEL_OK ? status : tw->system.file_info(tw->system.ud, file, out);
}

static bezel_status tw_file_read(void *ud, bezel_file *file, uint64_t offset, void *buffer, size_t size)
{
    test_world *tw = ud;
    bezel_status status = tw_file_fault(tw);
    return status != BEZEL_OK ? status : tw->system.file_read(tw->system.ud, file, offset, buffer, size);
}

static bezel_status tw_file_write(void *ud, bezel_file *file, uint64_t offset, const void *bytes, size_t size)
{
    test_world *tw = ud;
    bezel_status status = tw_file_fault(tw);
    return status != BEZEL_OK ? status : tw->system.file_write(tw->system.ud, file, offset, bytes, size);
}

static bezel_status tw_file_map(void *ud, bezel_file *file, uint64_t size, const void **out)
{
    test_world *tw = ud;
    bezel_status status = tw_file_fault(tw);
    if (status == BEZEL_OK)
        status = tw->system.file_map(tw->system.ud, file, size, out);
    if (status == BEZEL_OK)
        atomic_fetch_add(&tw->maps, 1);
    return status;
}

static void tw_file_unmap(void *ud, const void *address, uint64_t size)
{
    test_world *tw = ud;
    atomic_fetch_sub(&tw->maps, 1);
    tw->system.file_unmap(tw->system.ud, address, size);
}

static bezel_status tw_file_sync(void *ud, bezel_file *file)
{
    test_world *tw = ud;
    bezel_status status = tw_file_fault(tw);
    return status != BEZEL_OK ? status : tw->system.file_sync(tw->system.ud, file);
}

static void tw_file_close(void *ud, bezel_file *file)
{
    test_world *tw = ud;
    atomic_fetch_sub(&tw->files, 1);
    tw->system.file_close(tw->system.ud, file);
}

static bezel_status tw_file_rename(void *ud, const char *from, const char *to)
{
    test_world *tw = ud;
    bezel_status status = tw_file_fault(tw);
    return status != BEZEL_OK ? status : tw->system.file_rename(tw->system.ud, from, to);
}

static bezel_status tw_file_remove(void *ud, const char *path)
{
    test_world *tw = ud;
    bezel_status status = tw_file_fault(tw);
    return status != BEZEL_OK ? status : tw->system.file_remove(tw->system.ud, path);
}

static bezel_status tw_file_list(void *ud, const char *folder, void (*fn)(void *arg, const char *name), void *arg)
{
    test_world *tw = ud;
    bezel_status status = tw_file_fault(tw);
    return status != BEZEL_OK ? status : tw->system.file_list(tw->system.ud, folder, fn, arg);
}

static bezel_status tw_thread_start(void *ud, bezel_thread **out, const char *name, void (*fn)(void *arg), void *arg)
{
    test_world *tw = ud;
    if (atomic_fetch_add(&tw->n_thread_starts, 1) + 1 == atomic_load(&tw->fail_thread_start))
        return BEZEL_ERR_IO;
    return tw->system.thread_start(tw->system.ud, out, name, fn, arg);
}

static void tw_thread_join(void *ud, bezel_thread *thread)
{
    test_world *tw = ud;
    tw->system.thread_join(tw->system.ud, thread);
}

void test_world_init(test_world *tw)
{
    memset(tw, 0, sizeof *tw);
    bezel_world_init(&tw->system);
    tw->file_status = BEZEL_ERR_IO;
    bz_rng_seed(&tw->rng, 1);
    atomic_flag_clear(&tw->rng_busy);
    tw->world = (bezel_world){
        .size = (uint32_t)sizeof tw->world,
        .ud = tw,
        .allocate = tw_allocate,
        .monotonic_ns = tw_monotonic_ns,
        .wall_ms = tw_wall_ms,
        .random = tw_random,
        .file_open = tw_file_open,
        .file_info = tw_file_info,
        .file_read = tw_file_read,
        .file_write = tw_file_write,
        .file_map = tw_file_map,
        .file_unmap = tw_file_unmap,
        .file_sync = tw_file_sync,
        .file_close = tw_file_close,
        .file_rename = tw_file_rename,
        .file_remove = tw_file_remove,
        .thread_start = tw_thread_start,
        .thread_join = tw_thread_join,
        .file_list = tw_file_list,
    };
}

void test_world_arm(test_world *tw, long n, int forever)
{
    atomic_store(&tw->n_allocations, 0);
    atomic_store(&tw->n_failed, 0);
    atomic_store(&tw->fail_forever, forever);
    atomic_store(&tw->fail_allocation, n);
}

void test_world_arm_file(test_world *tw, long n, bezel_status status)
{
    atomic_store(&tw->n_file_calls, 0);
    tw->file_status = status;
    atomic_store(&tw->fail_file_call, n);
}

void test_world_clock(test_world *tw, int64_t now_ns, int64_t wall_ms)
{
    atomic_store(&tw->now_ns, now_ns);
    atomic_store(&tw->wall_now_ms, wall_ms);
    atomic_store(&tw->is_fake, 1);
}

int test_world_is_clean(const test_world *tw)
{
    return atomic_load(&tw->bytes) == 0 && atomic_load(&tw->blocks) == 0 && atomic_load(&tw->files) == 0 &&
           atomic_load(&tw->maps) == 0;
}

static long tw_sweep_mode(test_world *tw, test_world_try_fn fn, void *ctx, bezel_status expected, int forever)
{
    for (long n = 1;; n++) {
        int64_t bytes = atomic_load(&tw->bytes);
        int64_t blocks = atomic_load(&tw->blocks);
        int64_t files = atomic_load(&tw->files);
        int64_t maps = atomic_load(&tw->maps);
        bezel_status status;
        long needed;
        int failed;
        test_world_arm(tw, n, forever);
        status = fn(tw, ctx);
        needed = atomic_load(&tw->n_allocations);
        failed = atomic_load(&tw->n_failed);
        test_world_arm(tw, 0, 0);
        ck_assert_msg(atomic_load(&tw->bytes) == bytes && atomic_load(&tw->blocks) == blocks,
                      "allocation %ld failing: %lld bytes in %lld blocks leaked", n,
                      (long long)(atomic_load(&tw->bytes) - bytes), (long long)(atomic_load(&tw->blocks) - blocks));
        ck_assert_msg(atomic_load(&tw->files) == files && atomic_load(&tw->maps) == maps,
                      "allocation %ld failing: a file or mapping leaked", n);
        if (failed == 0) {
            ck_assert_msg(status == expected, "without a failure the result is %s, expected %s",
                          bezel_status_name(status), bezel_status_name(expected));
            return needed;
        }
        ck_assert_msg(status == BEZEL_ERR_MEMORY, "allocation %ld failing gives %s, expected memory", n,
                      bezel_status_name(status));
    }
}

long test_world_sweep(test_world *tw, test_world_try_fn fn, void *ctx, bezel_status expected)
{
    tw_sweep_mode(tw, fn, ctx, expected, 1);
    return tw_sweep_mode(tw, fn, ctx, expected, 0);
}
