/* SPDX-License-Identifier: MIT */
/* A layer over SQLite's own VFS that counts what changes files, and lets it fail. */
#include "support/fault_vfs.h"

#include <check.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct fault_file {
    sqlite3_file file;
    sqlite3_file *real; /* behind this struct */
} fault_file;

static sqlite3_vfs *below;
static sqlite3_vfs above;
static int kind;
static int64_t at, seen;

/* 1 when the change must not be made. */
static int fault_now(void)
{
    const int64_t n = seen++;
    if (kind == FAULT_KILL && n == at)
        return 1;
    return kind == FAULT_FULL && n >= at;
}

static sqlite3_file *real(sqlite3_file *f) { return ((fault_file *)f)->real; }

static int fault_close(sqlite3_file *f) { return real(f)->pMethods->xClose(real(f)); }
static int fault_read(sqlite3_file *f, void *p, int n, sqlite3_int64 o) { return real(f)->pMethods->xRead(real(f), p, n, o); }
static int fault_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 o)
{
    if (!fault_now())
        return real(f)->pMethods->xWrite(real(f), p, n, o);
    if (kind == FAULT_KILL) {
        real(f)->pMethods->xWrite(real(f), p, n / 2, o);
        _exit(FAULT_KILLED);
    }
    return SQLITE_FULL;
}
static int fault_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    if (fault_now() && kind == FAULT_KILL)
        _exit(FAULT_KILLED);
    return real(f)->pMethods->xTruncate(real(f), size);
}
static int fault_sync(sqlite3_file *f, int flags)
{
    if (fault_now() && kind == FAULT_KILL)
        _exit(FAULT_KILLED);
    return real(f)->pMethods->xSync(real(f), flags);
}
static int fault_size(sqlite3_file *f, sqlite3_int64 *size) { return real(f)->pMethods->xFileSize(real(f), size); }
static int fault_lock(sqlite3_file *f, int l) { return real(f)->pMethods->xLock(real(f), l); }
static int fault_unlock(sqlite3_file *f, int l) { return real(f)->pMethods->xUnlock(real(f), l); }
static int fault_reserved(sqlite3_file *f, int *out) { return real(f)->pMethods->xCheckReservedLock(real(f), out); }
static int fault_control(sqlite3_file *f, int op, void *arg) { return real(f)->pMethods->xFileControl(real(f), op, arg); }
static int fault_sector(sqlite3_file *f) { return real(f)->pMethods->xSectorSize(real(f)); }
static int fault_device(sqlite3_file *f) { return real(f)->pMethods->xDeviceCharacteristics(real(f)); }
static int fault_shm_map(sqlite3_file *f, int i, int n, int extend, void volatile **out)
{
    return real(f)->pMethods->xShmMap(real(f), i, n, extend, out);
}
static int fault_shm_lock(sqlite3_file *f, int o, int n, int flags) { return real(f)->pMethods->xShmLock(real(f), o, n, flags); }
static void fault_shm_barrier(sqlite3_file *f) { real(f)->pMethods->xShmBarrier(real(f)); }
static int fault_shm_unmap(sqlite3_file *f, int del) { return real(f)->pMethods->xShmUnmap(real(f), del); }

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = fault_close,
    .xRead = fault_read,
    .xWrite = fault_write,
    .xTruncate = fault_truncate,
    .xSync = fault_sync,
    .xFileSize = fault_size,
    .xLock = fault_lock,
    .xUnlock = fault_unlock,
    .xCheckReservedLock = fault_reserved,
    .xFileControl = fault_control,
    .xSectorSize = fault_sector,
    .xDeviceCharacteristics = fault_device,
    .xShmMap = fault_shm_map,
    .xShmLock = fault_shm_lock,
    .xShmBarrier = fault_shm_barrier,
    .xShmUnmap = fault_shm_unmap,
};

static int fault_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *f, int flags, int *out_flags)
{
    fault_file *file = (fault_file *)f;
    (void)vfs;
    file->real = (sqlite3_file *)(file + 1);
    int rc = below->xOpen(below, name, file->real, flags, out_flags);
    file->file.pMethods = file->real->pMethods ? &methods : NULL;
    return rc;
}

void fault_vfs_install(void)
{
    below = sqlite3_vfs_find(NULL);
    ck_assert_ptr_nonnull(below);
    above = *below;
    above.zName = "fault";
    above.szOsFile = (int)sizeof(fault_file) + below->szOsFile;
    above.xOpen = fault_open;
    above.pNext = NULL;
    fault_vfs_set(FAULT_NONE, 0);
    ck_assert_int_eq(sqlite3_vfs_register(&above, 1), SQLITE_OK);
}

void fault_vfs_remove(void)
{
    sqlite3_vfs_unregister(&above);
    sqlite3_vfs_register(below, 1);
}

void fault_vfs_set(int fault, int64_t n)
{
    kind = fault;
    at = n;
    seen = 0;
}

int64_t fault_vfs_count(void) { return seen; }
