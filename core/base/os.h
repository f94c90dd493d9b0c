/* SPDX-License-Identifier: MIT */
/* The one seam to the system. The world's defaults, locks and waitable flags; one os_<system>.c each. */
#ifndef BZ_OS_H
#define BZ_OS_H

#include <bezel/base.h>

void bz_os_world(bezel_world *out); /* the system's own functions */
unsigned bz_os_cores(void);         /* cores this process may use, at least 1 */
int bz_os_may_use(unsigned cpu); /* 1 when this thread may run on the processor with this number */
void bz_os_pin(unsigned cpu);    /* the calling thread stays on it, where the system allows that */
size_t bz_os_page_size(void);
void bz_os_huge_pages(void *p, size_t size); /* a wish: whole pages of the caller's memory, before their first use */
const char *bz_os_env(const char *name); /* NULL when unset or empty */
uint64_t bz_os_resident_bytes(void);     /* resident memory of the process, 0 when unknown */
void bz_os_boot_id(uint8_t out[16]);     /* names this boot of the machine; all 0 when unknown */

typedef struct bz_mutex bz_mutex;
typedef struct bz_cond bz_cond;
bz_mutex *bz_mutex_new(const bezel_world *w); /* NULL on failure */
void bz_mutex_free(const bezel_world *w, bz_mutex *m);
void bz_mutex_lock(bz_mutex *m);
int bz_mutex_try(bz_mutex *m); /* 1 when locked */
void bz_mutex_unlock(bz_mutex *m);
bz_cond *bz_cond_new(const bezel_world *w);
void bz_cond_free(const bezel_world *w, bz_cond *c);
void bz_cond_wait(bz_cond *c, bz_mutex *m);
int bz_cond_wait_ms(bz_cond *c, bz_mutex *m, int64_t timeout_ms); /* 0 on timeout */
void bz_cond_signal(bz_cond *c);
void bz_cond_broadcast(bz_cond *c);

/* Moves a descriptor away from the standard streams, which a host may have closed: 3 or more, close-on-exec; -1 stays -1. */
int bz_os_fd_high(int fd);
/* A descriptor that is readable while the flag is set, close-on-exec. -1 on failure. */
int bz_os_flag_open(void);
void bz_os_flag_set(int fd);
void bz_os_flag_clear(int fd);
void bz_os_flag_close(int fd);
void bz_os_pause(void); /* spin-wait hint */
/* The one lock of the whole process, for libraries that keep unguarded state of their own: engines cannot know of each
 * other. Held for one call of such a library, never while a callback of the host runs. */
void bz_os_process_lock(void);
void bz_os_process_unlock(void);
void bz_os_give_way(void); /* the calling thread runs when nothing else wants to, as far as the system can do that */

/* 1 when this process may use the tile registers of AMX: Linux gives them, 8 KiB a thread, to those who ask. */
int bz_os_allow_amx(void);

/* Keeps a broken connection from ending the host: between block and restore, both on one thread, SIGPIPE of that thread is
 * held back and then dropped; a host's own mask and handler stay. Hand what block returns to restore. */
int bz_os_pipe_block(void);
void bz_os_pipe_restore(int state);

#endif
