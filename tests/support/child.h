/* SPDX-License-Identifier: MIT */
/* What is left of processes that a test has started. */
#ifndef TEST_CHILD_H
#define TEST_CHILD_H

/* 1 once there is no process with this id, or only its entry that its parent has not collected; waits for a second. */
int child_is_gone(long pid);
/* 1 when this process has no child, not even one that waits to be collected. */
int child_none_left(void);

#endif
