/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside SwapBypass: one VM's window.
 */
#ifndef SWAPBYPASS_WINDOW_H
#define SWAPBYPASS_WINDOW_H

#include <pthread.h>

#include "sym/window.h"

#define PAGE ((uint64_t)SYM_PAGE_SIZE)

/* What the window is made of (backing.c). */
struct backing {
	int fd;
	uint8_t *map; /* NULL: not mapped */
	uint64_t size;
	char *file; /* NULL: a memfd */
	bool created; /* the file was made by us, in this run or the one that left it */
	char leftover[72]; /* the VM that left it behind; "": it was clean */
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
	unsigned int changes; /* of what is wanted */
	unsigned int told; /* the change that the guest has heard of */
	uint32_t told_generation; /* and which guest, by its symbiotic module */
	uint32_t told_handler; /* and by its symswap module */
	unsigned int resets;
	uint64_t questions; /* that the guest was asked by "reclaim" */

	/* watch.c */
	uint64_t excuse; /* bytes that were in use when the limit was lowered */
	uint64_t unheard; /* the limit it has until it hears of the lower one; 0: it has */
	unsigned int unheard_s; /* seconds that it has had for that */
	uint64_t stale; /* and those that an earlier symswap module left behind */
	uint32_t seen_generation;
	uint32_t seen_handler; /* the symswap module that was there last time */
	uint64_t over_since_ms; /* 0: the guest keeps its limit */
	unsigned int patience; /* times that it gave something back, and not enough */
	uint64_t least_over; /* bytes too many, when it had fewest of them */
};

/*
 * backing_create - a memfd, or @file with our mark behind the window, taken for VM @name.
 * backing_destroy - the file is emptied, or removed.
 */
int backing_create(struct backing *b, uint64_t size, const char *file, const char *name,
		   struct sym_err *err);
void backing_destroy(struct backing *b);

/* backing_punch - give @len bytes back to the host; they read as zeroes afterwards. */
int backing_punch(const struct backing *b, uint64_t at, uint64_t len);

/* backing_allocated - bytes that the host has given, whether in memory or on disk. */
uint64_t backing_allocated(const struct backing *b);

/*
 * backing_evict - get runs that are in use out of memory, contents kept: to the file, or to
 * the host's swap, if it has room.  Returns the bytes that left; sleeps for the writing.
 */
uint64_t backing_evict(const struct backing *b, const struct sym_window_run *runs,
		       unsigned int nr);

/* window_heard - the guest knows the limit, and uses @used bytes, it says; lock held. */
void window_heard(struct sym_window *w, uint64_t used);

/* window_used - bytes that the guest says it uses, as far as that can be; 0: it says nothing. */
uint64_t window_used(struct sym_window *w);

/* guest_handler - of the guest's symswap module, by its generation; false: there is none. */
bool guest_handler(struct sym_window *w, uint32_t *generation, uint32_t *number);

/*
 * runs_check - is @reply, @len bytes of it, a list of runs within a window of @slots that
 * do not overlap, of @said pages in all and at most @asked?  Their number, or -EPROTO.
 */
int runs_check(const struct sym_window_run *runs, size_t len, uint64_t slots, uint64_t said,
	       uint64_t asked);

#endif
