/* SPDX-License-Identifier: MIT */
/* SQLite's files with faults: a disk that is full from the n-th write on, a process that dies in the middle of it. */
#ifndef TEST_FAULT_VFS_H
#define TEST_FAULT_VFS_H

#include <stdint.h>

enum {
    FAULT_NONE, /* only counts */
    FAULT_FULL, /* writes from the n-th on fail with SQLITE_FULL */
    FAULT_KILL  /* the n-th write writes half of its bytes, then the process is gone with status FAULT_KILLED */
};
#define FAULT_KILLED 9

/* Makes it the VFS of connections that are opened from now on, and takes it away after they are closed. */
void fault_vfs_install(void);
void fault_vfs_remove(void);
/* From now on: what happens at write n, 0 = the next one. Writes, truncations and syncs count. */
void fault_vfs_set(int fault, int64_t n);
/* Writes since then. */
int64_t fault_vfs_count(void);

#endif
