/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside SwapBypass: one VM's window.
 */
#ifndef SWAPBYPASS_WINDOW_H
#define SWAPBYPASS_WINDOW_H

#include <pthread.h>

#include "sym/window.h"

#define PAGE ((uint64_t)SYM_PAGE_SIZE)

/* A hole in a window's file, between the window and the mark (backing_check.c). */
#define SPARE (256ull << 10)

/* What the window is made of (backing.c). */
struct backing {
	int fd;
	uint8_t *map; /* NULL: not mapped */
	uint64_t size;
	char *file; /* NULL: a memfd */
	bool created; /* the file was made by us, in this run or the one that left it */
	char leftover[72]; /* the VM that left it behind; "": it was clean */
	/* backing_check.c, one caller at a time */
	bool full; /* at the last check */
	uint64_t checked_blocks; /* of 512 bytes, that the file had then */
	/* backing_read.c, the same */
	uint64_t read_at; /* the page to read next */
	uint64_t read_first; /* where this pass began */
	bool unreadable; /* it could not be read */
};

struct sym_window {
	struct sym *sym;
	const struct sym_host_ops *ops;
	void *vm;
	uint64_t gpa;
	bool added; /* as a region of the VM */
	struct backing backing;
	void (*violation)(void *arg, const char *text);
	void *arg;

	pthread_mutex_t lock; /* guards what follows; not held while the guest is called */
	uint64_t limit;
	uint32_t level;
	unsigned int changes; /* of level or limit, counted */
	unsigned int acked; /* the last change that the guest acknowledged, */
	uint32_t acked_generation; /* by which symbiotic module */
	uint32_t acked_handler; /* and which symswap module */
	unsigned int resets;
	uint64_t reclaim_seq; /* of the last reclaim request to the guest */

	/* watch.c */
	uint64_t grandfathered; /* bytes that were in use when the limit was lowered */
	uint64_t old_limit; /* in force until the lower one is acknowledged; 0: it was */
	unsigned int old_limit_s; /* seconds that it has been in force since */
	uint64_t stale; /* bytes that an earlier symswap module left behind */
	uint32_t seen_generation;
	uint32_t seen_handler; /* of the last symswap module seen */
	uint64_t over_since_ms; /* 0: the guest is within its limit */
	unsigned int partial_returns; /* in a row: it returned some pages, but not enough */
	uint64_t least_over; /* the smallest excess so far, in bytes */

	/* idle.c */
	unsigned int idle_s; /* seconds in a row with too much memory that is lent and idle */
	uint64_t idle_writes; /* pages that the guest had written at the last look */
	unsigned int idle_misses; /* times in a row that it was asked for, and nothing came */
	uint64_t idle_returned; /* bytes */
};

/*
 * backing_create - a memfd, or @file with our mark behind the window, locked for VM @name.
 * backing_destroy - empty the file, or remove it.
 */
int backing_create(struct backing *b, uint64_t size, const char *file, const char *name,
		   struct sym_err *err);
void backing_destroy(struct backing *b);

/* backing_punch - give @len bytes back to the host; they read as zeroes afterwards. */
int backing_punch(const struct backing *b, uint64_t at, uint64_t len);

/* backing_read - read some page that is not in memory; 0, or -errno: b->read_at is bad. */
int backing_read(struct backing *b);

/* backing_allocated - bytes that the host has allocated, in memory or on disk. */
uint64_t backing_allocated(const struct backing *b);

/*
 * backing_evict - move runs that are in use out of memory, contents kept: to the file, or to
 * the host's swap, if it has room.  Returns the bytes moved; sleeps while they are written.
 */
uint64_t backing_evict(const struct backing *b, const struct sym_window_run *runs,
		       unsigned int nr);

struct window_idle {
	uint64_t bytes; /* lent and not in use, at most those lent */
	uint64_t writes; /* pages written so far */
};

/*
 * window_idle_due - once a second: has too much been lent and idle for too long?  Lock held.
 * window_idle_return - then: get it back from the guest; waits.
 * window_take_idle - get up to @bytes of free slots back; returns how many came.
 */
bool window_idle_due(struct sym_window *w, const struct window_idle *idle);
void window_idle_return(struct sym_window *w);
uint64_t window_take_idle(struct sym_window *w, uint64_t bytes);

/* window_idle - as the guest reports. */
struct window_idle window_idle(struct sym_window *w);

/* window_acked - the guest knows the limit and reports @used bytes in use.  Lock held. */
void window_acked(struct sym_window *w, uint64_t used);

/* window_used - bytes in use as the guest reports, at most the window's size; 0: no report. */
uint64_t window_used(struct sym_window *w);

/* guest_handler - identify the guest's symswap module; false: there is none. */
bool guest_handler(struct sym_window *w, uint32_t *generation, uint32_t *number);

/*
 * runs_check - check that @runs, @len bytes of them, lie within a window of @slots, do not
 * overlap, and have @said pages in all and at most @asked.  Their number, or -EPROTO.
 */
int runs_check(const struct sym_window_run *runs, size_t len, uint64_t slots, uint64_t said,
	       uint64_t asked);

#endif
