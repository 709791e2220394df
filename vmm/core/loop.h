/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The event loop of the I/O thread: file descriptors and timers over epoll.
 * Everything without a thread of its own runs in this one, so callbacks
 * must not block.
 */
#ifndef VMM_CORE_LOOP_H
#define VMM_CORE_LOOP_H

#include <stdint.h>

struct loop;
struct loop_source;

/* Called in the loop's thread with the EPOLL* bits that are ready. */
typedef void (*loop_fn)(void *arg, uint32_t events);

int loop_create(struct loop **out);
void loop_destroy(struct loop *loop);

/*
 * loop_add - watch @fd for @events (EPOLLIN, EPOLLOUT).  @out may be NULL when
 * the source lives as long as the loop.  The caller keeps ownership of @fd.
 * May be called from any thread.  Returns 0 or -errno.
 */
int loop_add(struct loop *loop, int fd, uint32_t events, loop_fn fn, void *arg,
	     struct loop_source **out);

/* loop_mod - change the events of @src.  Loop's thread only. */
int loop_mod(struct loop_source *src, uint32_t events);

/* loop_del - stop watching; safe inside any callback.  Loop's thread only. */
void loop_del(struct loop_source *src);

/*
 * loop_add_timer - a one-shot timer, not yet armed.  loop_arm() sets it @ns
 * nanoseconds from now (0 disarms).  Freed by loop_del().
 */
int loop_add_timer(struct loop *loop, loop_fn fn, void *arg, struct loop_source **out);
int loop_arm(struct loop_source *src, uint64_t ns);

/* loop_run - serve until loop_quit(); returns 0 or -errno. */
int loop_run(struct loop *loop);

/* loop_quit - end loop_run() after the current callbacks.  Any thread, signal-safe. */
void loop_quit(struct loop *loop);

#endif
